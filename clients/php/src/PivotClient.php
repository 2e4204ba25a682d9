<?php

// The calls of the pivot contract 1.2.0.
// Generated from docs/pivot/openapi.json by `python -m clients.generate .`: not to be edited.

declare(strict_types=1);

namespace Toodego\Pivot;

/**
 * The calls of a half-connector. Each throws Problem, Unreachable or Unreadable.
 */
final class PivotClient extends Transport
{
    /**
     * Read again what you were sent or could fetch: to catch up after a loss of your own.
     *
     * It consumes nothing, and goes back to the beginning. Erased requests keep their numbers.
     */
    public function events(int $after = 0, int $limit = 50): EventsPage
    {
        $raw = $this->call('GET', '/pivot/v1/events', null, ['after' => $after, 'limit' => $limit]);

        return EventsPage::read($raw);
    }

    /**
     * Settle what was fetched before and fetch what is next, where `mode: mailbox`.
     *
     * Of each request one message at a time is given, so their order is kept; other requests do
     * not wait. An answer that was lost loses nothing: the lease ends, and it is given again.
     */
    public function claim(PivotClaim $body): ClaimAnswer
    {
        $raw = $this->call('POST', '/pivot/v1/mailbox/claim', $body->written());

        return ClaimAnswer::read($raw);
    }

    /**
     * Tell a change of a request: status, text, documents and number, all at once or nothing.
     *
     * Send it again, with the same key, until it is answered.
     */
    public function tellChange(string $reference, PivotChange $body): ChangeReceipt
    {
        $raw = $this->call('POST', '/pivot/v1/requests/' . rawurlencode($reference) . '/changes', $body->written());

        return ChangeReceipt::read($raw);
    }
}
