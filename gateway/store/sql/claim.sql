-- name: due_on_lane (sqlite)
-- Find the due deliveries of one lane, oldest first.
SELECT id
FROM delivery
WHERE lane = :lane AND {due} AND next_at <= :now AND next_at > :after AND failures <= :failures
ORDER BY next_at
LIMIT :most

-- name: due_on_lanes (postgresql)
-- Find those of many lanes in one round trip. Skip rows that others have locked: they claim them.
SELECT wanted.n, found.id
FROM unnest(
    :n::int[], :lane::text[], :now::bigint[], :after::bigint[], :failures::int[], :most::int[]
) AS wanted (n, lane, now, after, failures, most)
CROSS JOIN LATERAL (
    SELECT id
    FROM delivery
    WHERE lane = wanted.lane AND {due}
        AND next_at <= wanted.now AND next_at > wanted.after AND failures <= wanted.failures
    ORDER BY next_at
    LIMIT wanted.most
    FOR UPDATE SKIP LOCKED
) AS found

-- name: claim
-- Claim a delivery. The test of its state is repeated, so that two replicas never claim the same one;
-- an owner who comes back late has an old fence.
UPDATE delivery
SET state = 'sending', asking = (state = 'unsure'), lease_owner = :owner, lease_until = :until,
    claimed_at = :now, fence = fence + 1, attempts = attempts + 1
WHERE id = :id AND {due}

-- name: claimed
-- Read claimed deliveries, each with its request and event.
SELECT {delivery}, {request}, event.key, event.kind, event.body
FROM delivery
JOIN request ON request.id = delivery.request_id
JOIN event ON event.id = delivery.event_id
WHERE delivery.id {among:ids} AND {sending}
ORDER BY delivery.next_at, delivery.id

-- name: owed_again
-- Read deliveries of any state, each with its request and event.
SELECT {delivery}, {request}, event.key, event.kind, event.body
FROM delivery
JOIN request ON request.id = delivery.request_id
JOIN event ON event.id = delivery.event_id
WHERE delivery.id {among:ids}

-- name: files
-- The files of events, in their order.
SELECT event_id, id, request_id, field, filename, content_type, size, address
FROM attachment
WHERE event_id {among:ids}
ORDER BY id

-- name: next_due
-- Read the time at which each lane's next delivery is due.
SELECT listed.value, (SELECT min(next_at) FROM delivery WHERE lane = listed.value AND {due})
FROM {each:lanes}
