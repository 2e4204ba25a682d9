-- name: under_way
-- Read the claims of all processes. A commune's own claims are left out: only their lease ends them.
SELECT id, lane, fence, lease_until FROM delivery WHERE {sending} AND lease_owner <> :but

-- name: reap
-- Take a claim from a dead owner. The delivery may have been sent now; if it was being asked about,
-- its sending was noted before.
UPDATE delivery
SET state = 'unsure', sent_at = CASE WHEN asking THEN sent_at ELSE :now END, asking = FALSE,
    lease_owner = NULL, lease_until = NULL, reason = 'owner_died',
    detail = 'the process that was sending it stopped before the answer', next_at = :ask_at
WHERE id = :id AND fence = :fence AND {sending}
RETURNING lane

-- name: give_back
-- End a claim untried: the delivery gets its former state.
UPDATE delivery
SET state = CASE WHEN asking THEN 'unsure' ELSE 'waiting' END, asking = FALSE, lease_owner = NULL,
    lease_until = NULL, attempts = attempts - 1, next_at = :now
WHERE id = :id AND fence = :fence AND {sending}

-- name: drop_erased
-- Discard a delivery that was under way when its person was erased. `next_at` stays: by then the far
-- end has finished with the call. EXISTS, since SQLite would read all requests for an IN.
UPDATE delivery
SET state = 'discarded', head = FALSE, reason = 'erased', detail = '', settled_at = :now
WHERE id = :id AND kind <> 'erase' AND {open} AND state <> 'sending'
    AND EXISTS (
        SELECT 1 FROM request
        WHERE request.id = delivery.request_id AND request.erased_at IS NOT NULL
    )
