<?php

// Runs beside the web server: `php work.php` tells the changes, `php work.php mailbox` fetches, too.

declare(strict_types=1);

namespace Toodego\Example;

use Toodego\Pivot\ClaimResultTold;
use Toodego\Pivot\ErasureReceipt;
use Toodego\Pivot\PivotChange;
use Toodego\Pivot\PivotClaim;
use Toodego\Pivot\PivotErasure;
use Toodego\Pivot\PivotError;
use Toodego\Pivot\PivotEvent;
use Toodego\Pivot\Unknown;
use Toodego\Pivot\Unreadable;

require_once __DIR__ . '/Desk.php';

/** Tells what is to be told, in its order; seconds to wait when it has to be done again. */
function tell_changes(Desk $desk): ?float
{
    foreach ($desk->journal->known()->changes as $key => $change) {
        try {
            $desk->client->tellChange($change['reference'], new PivotChange(...$change['body']));
        } catch (PivotError $error) {
            if ($error->again !== null) {
                return $error->again;
            }
            // It will never be taken as it is: a person has to look. It holds up nothing else.
            fwrite(STDERR, "change $key was refused: {$error->getMessage()}\n");
        }
        $desk->journal->transaction(static fn (): array => [['what' => 'told', 'key' => (string) $key]]);
    }

    return null;
}

/** Tells the results of what was fetched, and fetches what is next; how much there was. */
function fetch(Desk $desk): int
{
    $results = array_slice($desk->journal->known()->results, 0, 100, true);
    $settled = array_map(result_told(...), array_map(strval(...), array_keys($results)), $results);
    $answer = $desk->client->claim(new PivotClaim(lease: 120, max: 10, settled: $settled));
    if ($results !== []) {
        $tokens = array_map(strval(...), array_keys($results));
        $desk->journal->transaction(static fn (): array => [['what' => 'settled', 'tokens' => $tokens]]);
    }
    foreach ($answer->items as $item) {
        $line = ['what' => 'fetched', 'token' => $item->token, 'result' => result_of($desk, $item->event)];
        $desk->journal->transaction(static fn (): array => [$line]);
    }

    return count($answer->items) + count($results);
}

/** @return array<string, mixed> */
function result_of(Desk $desk, PivotEvent|PivotErasure|Unknown $message): array
{
    try {
        $taken = $desk->take($message);
    } catch (Refused $error) {
        return ['result' => 'refused', 'problems' => [substr($error->getMessage(), 0, 500)]];
    } catch (Later) {
        return ['result' => 'later', 'after' => 60];
    }

    return ['result' => 'done', 'reference' => $taken->number, 'erasure' => $taken->erasure];
}

/** @param array<string, mixed> $result */
function result_told(string $token, array $result): ClaimResultTold
{
    return new ClaimResultTold(
        token: $token,
        result: $result['result'],
        reference: $result['reference'] ?? null,
        problems: $result['problems'] ?? [],
        after: $result['after'] ?? null,
        erasure: isset($result['erasure']) ? new ErasureReceipt($result['erasure']) : null,
    );
}

$desk = Desk::ofEnvironment();
$pause = (float) Desk::setting('PIVOT_PAUSE', '5');
$mailbox = ($argv[1] ?? '') === 'mailbox';
$changesAt = 0.0;
while (true) {
    $came = 0;
    $wait = $pause;
    try {
        $came = $mailbox ? fetch($desk) : 0;
        if (microtime(true) >= $changesAt) {
            $changesAt = microtime(true) + (tell_changes($desk) ?? 0.0);
        }
    } catch (PivotError $error) {
        fwrite(STDERR, "the gateway: {$error->getMessage()}\n");
        $wait = $error->again === null ? 30.0 : max($error->again, $pause);
    } catch (Unreadable $error) {
        fwrite(STDERR, "the gateway: {$error->getMessage()}\n");
        $wait = 30.0;
    }
    if ($came === 0) {
        usleep((int) ($wait * 1e6));
    }
}
