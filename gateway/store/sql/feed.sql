-- name: lock (postgresql)
-- Lock a lane's feed until the transaction ends, so that numbers become visible in their order.
SELECT pg_advisory_xact_lock(hashtextextended(:lane, 35))

-- name: last
-- Read the last number in the feed of each of these lanes.
SELECT lane, max(feed)
FROM delivery
WHERE lane {among:lanes} AND feed IS NOT NULL
GROUP BY lane

-- name: page
-- Read the deliveries after a number in a lane's feed.
SELECT id, feed
FROM delivery
WHERE lane = :lane AND feed IS NOT NULL AND feed > :after
ORDER BY feed
LIMIT :most
