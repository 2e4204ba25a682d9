-- name: stands
-- Read the state of a delivery whose result a commune gives, and the number of its request.
SELECT delivery.state, delivery.fence, delivery.lease_owner, request.gru_reference,
    delivery.lease_until, delivery.claimed_at, request.erased_at
FROM delivery
JOIN request ON request.id = delivery.request_id
WHERE delivery.id = :id AND delivery.lane = :lane

-- name: retake
-- Claim a delivery again under the same fence: its lease ended, and nobody has claimed it since.
UPDATE delivery
SET state = 'sending', asking = (state = 'unsure'), lease_owner = :owner, lease_until = :until
WHERE id = :id AND lane = :lane AND fence = :fence AND claimed_at IS NOT NULL AND {due}

-- name: extend
-- Extend the lease of a fetched delivery.
UPDATE delivery
SET lease_until = :until
WHERE id = :id AND lane = :lane AND fence = :fence AND lease_owner = :owner AND {sending}

-- name: ended
-- Find the communes' claims whose lease has ended.
SELECT id, fence
FROM delivery
WHERE {sending} AND lease_owner = :owner AND lease_until <= :now

-- name: end
-- Give back a delivery that a commune fetched and did not settle.
UPDATE delivery
SET state = CASE WHEN asking THEN 'unsure' ELSE 'waiting' END, asking = FALSE, lease_owner = NULL,
    lease_until = NULL, reason = 'lease_ended', detail = '', failures = failures + 1, next_at = :now
WHERE id = :id AND fence = :fence AND {sending}
RETURNING lane

-- name: attempted
-- Store the attempt without a result.
INSERT INTO attempt (
    n, delivery_id, action, started_at, ms, outcome, reason, detail, state, next_at, answer
)
SELECT attempts, id, 'send', :now, 0, 'try_later', 'lease_ended', '', state, next_at, NULL
FROM delivery
WHERE id = :id

-- name: unfetched
-- Count the deliveries that a commune may fetch, with the time since which the oldest waits.
SELECT count(*), min(created_at)
FROM delivery
WHERE lane = :lane AND {due} AND next_at <= :now
