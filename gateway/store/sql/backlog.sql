-- name: lanes_with_work
-- Go from one lane to the next by the index, without reading the deliveries between.
WITH RECURSIVE found (lane) AS (
    SELECT min(lane) FROM delivery WHERE {due}
    UNION ALL
    SELECT (SELECT min(delivery.lane) FROM delivery WHERE {due} AND delivery.lane > found.lane)
    FROM found
    WHERE found.lane IS NOT NULL
)
SELECT lane FROM found WHERE lane IS NOT NULL

-- name: hurry
-- Make a lane's failed deliveries due as of their creation, so that they go in their order. An unsure
-- one is asked about if it was sent before `idle`, and counts as failed once.
UPDATE delivery
SET next_at = created_at, failures = CASE WHEN state = 'unsure' THEN 1 ELSE failures END
WHERE lane = :lane AND {due} AND (state = 'waiting' OR sent_at < :idle)
    AND next_at > created_at AND failures > 0

-- name: rewind
-- Correct times of these lanes that a clock ahead of ours has written. A waiting delivery is due now,
-- an unsure one is asked about at `ask_at`. A call may have begun before the clock was set forward:
-- its attempt shows that.
UPDATE delivery
SET next_at = CASE WHEN state = 'waiting' THEN :now ELSE :ask_at END,
    sent_at = CASE WHEN sent_at > :now THEN :now ELSE sent_at END
WHERE lane {among:lanes} AND {due}
    AND next_at > CASE WHEN state = 'waiting' THEN :now ELSE :ask_at END
    AND (
        created_at > :now OR sent_at > :now
        OR EXISTS (
            SELECT 1 FROM attempt
            WHERE attempt.delivery_id = delivery.id AND attempt.started_at > :now
        )
    )

-- name: in_doubt
-- Find a creation of this lane that was sent and has no answer. Each part uses its index.
SELECT id FROM delivery WHERE {sending} AND lane = :lane AND kind = 'submit'
UNION ALL
SELECT id FROM delivery WHERE {person} AND state = 'question' AND lane = :lane AND kind = 'submit'
UNION ALL
SELECT id FROM delivery WHERE {due} AND state = 'unsure' AND lane = :lane AND kind = 'submit'
LIMIT 1
