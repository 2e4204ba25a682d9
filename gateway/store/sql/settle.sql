-- name: claims
-- Of these deliveries, those that are being sent: whose they are now, and what.
SELECT id, fence, kind
FROM delivery
WHERE id {among:ids} AND {sending}
ORDER BY id
FOR UPDATE

-- name: known
-- Those of these deliveries that are here.
SELECT id FROM delivery WHERE id {among:ids}

-- name: move
-- Bring a delivery to where its attempt has led, and end the claim.
UPDATE delivery
SET state = :state, head = :head, asking = FALSE, lease_owner = NULL, lease_until = NULL,
    reason = :reason, detail = :detail, failures = :failures, next_at = :next_at,
    settled_at = :settled_at, sent_at = :sent_at
WHERE id = :id AND fence = :fence AND {sending}

-- name: insert_attempt
-- Keep an attempt, under its number.
INSERT INTO attempt (
    n, delivery_id, action, started_at, ms, outcome, reason, detail, state, next_at, answer,
    release_digest, mapping
)
VALUES (
    (SELECT attempts FROM delivery WHERE id = :delivery_id),
    :delivery_id, :action, :started_at, :ms, :outcome, :reason, :detail, :state, :next_at, :answer,
    :release_digest, :mapping
)

-- name: forget_answers
-- Drop what far ends said to all but the last few attempts.
UPDATE attempt
SET answer = NULL
WHERE delivery_id = :id AND answer IS NOT NULL
    AND n <= (SELECT attempts - :kept FROM delivery WHERE id = :id)

-- name: set_receipt
-- Keep what a GRU calls a request.
UPDATE request SET gru_reference = :reference, gru_link = :link WHERE id = :id

-- name: set_status
-- Keep how a request stands.
UPDATE request SET status = :status, status_at = :now WHERE id = :id

-- name: reported
-- What was reported of these requests already.
SELECT request_id, origin, key
FROM event
WHERE request_id {among:ids} AND origin <> 'portal'

-- name: insert_report
-- Keep an event that the portal is told.
INSERT INTO event (id, request_id, origin, key, kind, digest, status, at, received_at, body)
VALUES (:id, :request_id, :origin, :key, :kind, '', :status, :at, :received_at, :body)
