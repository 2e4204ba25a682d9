-- name: spend_nonce
-- Keep the nonce of a signed call. Nothing changes when it was used before.
INSERT INTO nonce (key, expires_at)
VALUES (:key, :expires_at)
ON CONFLICT DO NOTHING

-- name: insert_request
-- Keep a request that is new. Nothing changes when the portal's reference, or our own, is taken.
-- Waits for whoever is about to take it.
INSERT INTO request (
    id, portal, commune, teleservice, ref, uuid, number, api_url, account, key_id, digest, gru, vouched,
    status, status_at, received_at, submitted_at, ask_at
)
VALUES (
    :id, :portal, :commune, :teleservice, :ref, :uuid, :number, :api_url, :account, :key_id, :digest,
    :gru, :vouched, :status, :status_at, :received_at, :submitted_at, :ask_at
)
ON CONFLICT DO NOTHING

-- name: insert_event
-- Keep an event of the portal.
INSERT INTO event (
    id, request_id, origin, key, kind, digest, at, received_at, body, told_key, entry_at
)
VALUES (
    :id, :request_id, 'portal', :key, :kind, :digest, :received_at, :received_at, :body, :told_key,
    :entry_at
)
