-- name: lock (postgresql)
-- Be alone with a lane's feed until the transaction ends: a number that is given is seen in order.
SELECT pg_advisory_xact_lock(hashtextextended(:lane, 35))

-- name: last
-- The last number given in the feeds of these lanes.
SELECT lane, max(feed)
FROM delivery
WHERE lane {among:lanes} AND feed IS NOT NULL
GROUP BY lane

-- name: page
-- What follows a number in a lane's feed.
SELECT id, feed
FROM delivery
WHERE lane = :lane AND feed IS NOT NULL AND feed > :after
ORDER BY feed
LIMIT :most
