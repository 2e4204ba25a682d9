-- name: claims
-- Lock the claims on these deliveries, and read their fence and kind.
SELECT id, fence, kind
FROM delivery
WHERE id {among:ids} AND {sending}
ORDER BY id
FOR UPDATE

-- name: known
-- Read which of these deliveries exist.
SELECT id FROM delivery WHERE id {among:ids}

-- name: move
-- Store a delivery's new state, and end the claim.
UPDATE delivery
SET state = :state, head = :head, asking = FALSE, lease_owner = NULL, lease_until = NULL,
    reason = :reason, detail = :detail, failures = :failures, next_at = :next_at,
    settled_at = :settled_at, sent_at = :sent_at
WHERE id = :id AND fence = :fence AND {sending}

-- name: insert_attempt
-- Store an attempt, under its number.
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
-- Drop the far ends' answers to all but the last few attempts.
UPDATE attempt
SET answer = NULL
WHERE delivery_id = :id AND answer IS NOT NULL
    AND n <= (SELECT attempts - :kept FROM delivery WHERE id = :id)

-- name: set_receipt
-- Store the GRU's number of a request.
UPDATE request SET gru_reference = :reference, gru_link = :link WHERE id = :id

-- name: set_status
-- Store the status of a request.
UPDATE request SET status = :status, status_at = :now WHERE id = :id

-- name: reported
-- Read the reports that were already made of these requests.
SELECT request_id, origin, key
FROM event
WHERE request_id {among:ids} AND origin <> 'portal'

-- name: insert_report
-- Store an event for the portal.
INSERT INTO event (id, request_id, origin, key, kind, digest, status, at, received_at, body)
VALUES (:id, :request_id, :origin, :key, :kind, '', :status, :at, :received_at, :body)

-- name: set_erasure_answer
-- Keep what a GRU answered to an erasure.
UPDATE erasure_target
SET answer = :answer, ground = :ground, until = :until, decided_by = :decided_by
WHERE delivery_id = :delivery_id
