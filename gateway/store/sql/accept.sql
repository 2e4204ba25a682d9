-- name: spend_nonce
-- Store the nonce of a signed call. Change nothing if it was used before.
INSERT INTO nonce (key, expires_at)
VALUES (:key, :expires_at)
ON CONFLICT DO NOTHING

-- name: insert_request
-- Store a new request. Change nothing if the portal's reference or ours is taken. Wait for another
-- transaction that is about to take it.
INSERT INTO request (
    id, portal, commune, teleservice, ref, uuid, number, api_url, account, sealed_account, key_id,
    digest, gru, vouched, status, status_at, received_at, submitted_at, ask_at,
    traceparent
)
VALUES (
    :id, :portal, :commune, :teleservice, :ref, :uuid, :number, :api_url, :account, :sealed_account,
    :key_id, :digest, :gru, :vouched, :status, :status_at, :received_at, :submitted_at, :ask_at,
    :traceparent
)
ON CONFLICT DO NOTHING

-- name: insert_event
-- Store an event of the portal.
INSERT INTO event (
    id, request_id, origin, key, kind, digest, at, received_at, body, told_key, entry_at
)
VALUES (
    :id, :request_id, 'portal', :key, :kind, :digest, :received_at, :received_at, :body, :told_key,
    :entry_at
)
