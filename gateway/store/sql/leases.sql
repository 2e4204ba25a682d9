-- name: under_way
-- What is being sent now, by whatever process. What a commune fetched ends by its lease alone.
SELECT id, lane, fence, lease_until FROM delivery WHERE {sending} AND lease_owner <> :but

-- name: reap
-- Take a claim from an owner who is gone. It may have been sent; of one that was being asked about,
-- the sending was noted before.
UPDATE delivery
SET state = 'unsure', sent_at = CASE WHEN asking THEN sent_at ELSE :now END, asking = FALSE,
    lease_owner = NULL, lease_until = NULL, reason = 'owner_died',
    detail = 'the process that was sending it stopped before the answer', next_at = :ask_at
WHERE id = :id AND fence = :fence AND {sending}
RETURNING lane

-- name: give_back
-- End a claim untried: the delivery goes to where it came from.
UPDATE delivery
SET state = CASE WHEN asking THEN 'unsure' ELSE 'waiting' END, asking = FALSE, lease_owner = NULL,
    lease_until = NULL, attempts = attempts - 1, next_at = :now
WHERE id = :id AND fence = :fence AND {sending}

-- name: drop_erased
-- Owe no more what its person's erasure found under way. `next_at` stays: from then on the far end
-- must be through with what it was sent. EXISTS, as SQLite would read all requests for an IN.
UPDATE delivery
SET state = 'discarded', head = FALSE, reason = 'erased', detail = '', settled_at = :now
WHERE id = :id AND kind <> 'erase' AND {open} AND state <> 'sending'
    AND EXISTS (
        SELECT 1 FROM request
        WHERE request.id = delivery.request_id AND request.erased_at IS NOT NULL
    )
