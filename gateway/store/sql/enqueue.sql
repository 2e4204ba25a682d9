-- name: lock
-- Be alone with these requests until the transaction ends. They are locked in the order of their
-- ids, so that two writers who need the same ones take turns.
SELECT id, status, erased_at, key_id
FROM request
WHERE id {among:ids}
ORDER BY id
FOR NO KEY UPDATE

-- name: owed
-- Read by request and lane: the last number, the open deliveries, and those in a feed.
SELECT request_id, lane, max(seq), sum(CASE WHEN {open} THEN 1 ELSE 0 END), count(feed)
FROM delivery
WHERE request_id {among:ids}
GROUP BY request_id, lane

-- name: insert_delivery
-- Insert a delivery.
INSERT INTO delivery (
    id, request_id, event_id, attachment_id, kind, lane, seq, state, head, asking, next_at,
    failures, attempts, reason, detail, fence, created_at, feed
)
VALUES (
    :id, :request_id, :event_id, :attachment_id, :kind, :lane, :seq, :state, :head, FALSE, :due,
    0, 0, '', '', 0, :made_at, :feed
)

-- name: promote
-- Put the request's next open delivery on a lane at the head.
UPDATE delivery
SET head = TRUE
WHERE id = (
    SELECT id FROM delivery
    WHERE request_id = :request_id AND lane = :lane AND {open}
    ORDER BY seq
    LIMIT 1
)

-- name: notify (postgresql)
-- Tell every replica, when this transaction commits, that these lanes have work.
SELECT pg_notify('gru_gateway_lane', value) FROM {each:lanes}
