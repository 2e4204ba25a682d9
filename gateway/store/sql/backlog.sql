-- name: lanes_with_work
-- From one lane to the next by the index: what waits on a lane is not read through.
WITH RECURSIVE found (lane) AS (
    SELECT min(lane) FROM delivery WHERE {due}
    UNION ALL
    SELECT (SELECT min(delivery.lane) FROM delivery WHERE {due} AND delivery.lane > found.lane)
    FROM found
    WHERE found.lane IS NOT NULL
)
SELECT lane FROM found WHERE lane IS NOT NULL

-- name: hurry
-- Have a lane's failed deliveries be due since they were made, in the order in which they came.
-- What is unsure is asked about if it was sent before `idle`, and anew as if for the first time.
UPDATE delivery
SET next_at = created_at, failures = CASE WHEN state = 'unsure' THEN 1 ELSE failures END
WHERE lane = :lane AND {due} AND (state = 'waiting' OR sent_at < :idle)
    AND next_at > created_at AND failures > 0

-- name: rewind
-- Have lanes go on with what a clock that was ahead has set down. What only waits is due now; what
-- is unsure is asked about at `ask_at`. A call that was under way when the clock was set forward
-- began by the right one: hence the attempts.
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
-- A creation that is out on this lane and whose answer is not here. Each look goes down its index.
SELECT id FROM delivery WHERE {sending} AND lane = :lane AND kind = 'submit'
UNION ALL
SELECT id FROM delivery WHERE {person} AND state = 'question' AND lane = :lane AND kind = 'submit'
UNION ALL
SELECT id FROM delivery WHERE {due} AND state = 'unsure' AND lane = :lane AND kind = 'submit'
LIMIT 1
