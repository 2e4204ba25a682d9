<?php

declare(strict_types=1);

namespace Toodego\Pivot;

/** Proves what is pushed: Standard Webhooks 1.0, `v1`. */
final class Webhook
{
    /** Seconds that a message's timestamp may be away from now. */
    public const TOLERANCE = 300;

    /**
     * The id of a message that one of the secrets proves. Throws Unproven.
     *
     * `$body` is what arrived, byte for byte, before any reading. While a secret is replaced, give
     * both.
     *
     * @param list<string> $secrets
     * @param array<string, string> $headers names in lower case
     */
    public static function prove(array $secrets, array $headers, string $body, ?int $now = null): string
    {
        $id = $headers['webhook-id'] ?? '';
        $stamp = $headers['webhook-timestamp'] ?? '';
        if ($id === '' || preg_match('/\A[0-9]{1,11}\z/', $stamp) !== 1) {
            throw new Unproven('webhook-id or webhook-timestamp is missing, or is none');
        }
        if (abs(($now ?? time()) - (int) $stamp) > self::TOLERANCE) {
            throw new Unproven('webhook-timestamp is more than 5 minutes away: see to the clock');
        }
        $told = array_slice(explode(' ', $headers['webhook-signature'] ?? ''), 0, 8);
        $proven = false;
        foreach ($secrets as $secret) {
            $proof = hash_hmac('sha256', "$id.$stamp.$body", self::key($secret), true);
            foreach ($told as $one) {
                $proven = hash_equals('v1,' . base64_encode($proof), $one) || $proven;
            }
        }

        return $proven ? $id : throw new Unproven('no signature fits');
    }

    /**
     * What was pushed, read. Throws Unreadable.
     */
    public static function message(string $body): PivotEvent|PivotErasure|Unknown
    {
        $raw = json_decode($body, true, 64);
        if (!is_array($raw)) {
            throw new Unreadable('the body is no JSON object');
        }

        return match (true) {
            ($raw['type'] ?? null) === 'request.erased' => PivotErasure::read($raw),
            in_array($raw['type'] ?? null, PivotEventType::ALL, true) => PivotEvent::read($raw),
            default => Unknown::read($raw),
        };
    }

    /** The key of a secret: what follows `whsec_`, from Base64; any other is the key itself. */
    private static function key(string $secret): string
    {
        if (!str_starts_with($secret, 'whsec_')) {
            return $secret;
        }
        $key = base64_decode(substr($secret, 6), true);

        return $key !== false ? $key : throw new \InvalidArgumentException('what follows `whsec_` is not Base64');
    }
}
