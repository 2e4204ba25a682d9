-- name: stands
-- How a delivery stands that a commune tells a result of, and under which number.
SELECT delivery.state, delivery.fence, delivery.lease_owner, request.gru_reference,
    delivery.lease_until, delivery.claimed_at, request.erased_at
FROM delivery
JOIN request ON request.id = delivery.request_id
WHERE delivery.id = :id AND delivery.lane = :lane

-- name: retake
-- Take a delivery once more under the same fence: its lease ended, and nobody has it since.
UPDATE delivery
SET state = 'sending', asking = (state = 'unsure'), lease_owner = :owner, lease_until = :until
WHERE id = :id AND lane = :lane AND fence = :fence AND claimed_at IS NOT NULL AND {due}

-- name: extend
-- Let a commune keep what it fetched for longer.
UPDATE delivery
SET lease_until = :until
WHERE id = :id AND lane = :lane AND fence = :fence AND lease_owner = :owner AND {sending}

-- name: ended
-- The claims of communes whose lease has ended.
SELECT id, fence
FROM delivery
WHERE {sending} AND lease_owner = :owner AND lease_until <= :now

-- name: end
-- Give back what a commune fetched and told no result of.
UPDATE delivery
SET state = CASE WHEN asking THEN 'unsure' ELSE 'waiting' END, asking = FALSE, lease_owner = NULL,
    lease_until = NULL, reason = 'lease_ended', detail = '', failures = failures + 1, next_at = :now
WHERE id = :id AND fence = :fence AND {sending}
RETURNING lane

-- name: attempted
-- Keep the attempt that came to nothing.
INSERT INTO attempt (
    n, delivery_id, action, started_at, ms, outcome, reason, detail, state, next_at, answer
)
SELECT attempts, id, 'send', :now, 0, 'try_later', 'lease_ended', '', state, next_at, NULL
FROM delivery
WHERE id = :id

-- name: unfetched
-- What a commune might fetch of its lane: how much, and since when the oldest waits.
SELECT count(*), min(created_at)
FROM delivery
WHERE lane = :lane AND {due} AND next_at <= :now
