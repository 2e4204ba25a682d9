<?php

declare(strict_types=1);

namespace Toodego\Example;

use Toodego\Pivot\PivotChange;
use Toodego\Pivot\PivotClient;
use Toodego\Pivot\PivotErasure;
use Toodego\Pivot\PivotError;
use Toodego\Pivot\PivotEvent;
use Toodego\Pivot\PivotFile;
use Toodego\Pivot\PivotStatus;
use Toodego\Pivot\Unknown;
use Toodego\Pivot\Unreadable;

require_once __DIR__ . '/../src/autoload.php';
require_once __DIR__ . '/Journal.php';

/** A message that is never taken as it is; the sentence says why, without personal data. */
final class Refused extends \RuntimeException
{
}

/** A message that cannot be taken now. */
final class Later extends \RuntimeException
{
}

/** What came of a message: the ticket's number, or the end of a person's data. */
final class Taken
{
    public function __construct(public readonly ?string $number = null, public readonly ?string $erasure = null)
    {
    }
}

/**
 * Takes messages, each once. What belongs to your own software is in `ticket`: here a ticket is a
 * number, and each new one is told to the citizen as accepted.
 */
final class Desk
{
    /** @param list<string> $teleservices those that you know; all when none is named */
    public function __construct(
        public readonly Journal $journal,
        private readonly string $files,
        private readonly string $commune,
        private readonly string $environment,
        private readonly array $teleservices,
        public readonly PivotClient $client,
    ) {
    }

    /** The desk that the environment sets up. */
    public static function ofEnvironment(): self
    {
        $memory = self::setting('PIVOT_MEMORY', __DIR__ . '/half_connector.journal');

        return new self(
            new Journal($memory),
            "$memory.files",
            self::setting('PIVOT_COMMUNE'),
            self::setting('PIVOT_ENVIRONMENT', 'test'),
            array_values(array_filter(explode(' ', self::setting('PIVOT_TELESERVICES', '')))),
            new PivotClient(
                self::setting('PIVOT_BASE_URL'),
                self::setting('PIVOT_CLIENT_ID'),
                self::setting('PIVOT_CLIENT_SECRET'),
            ),
        );
    }

    public static function setting(string $name, ?string $default = null): string
    {
        $found = getenv($name);
        if ($found === false && $default === null) {
            throw new \RuntimeException("this setting is missing: $name");
        }

        return $found === false ? (string) $default : $found;
    }

    /** Takes a message. Throws Refused, Later. */
    public function take(PivotEvent|PivotErasure|Unknown $message): Taken
    {
        if ($message instanceof Unknown) {
            return new Taken(); // of a later contract: acknowledged, and passed over
        }
        $to = $message->recipient;
        if ($to->commune !== $this->commune || $to->environment !== $this->environment) {
            throw new Refused('this message is for another commune or environment');
        }

        return $message instanceof PivotErasure ? $this->erase($message) : $this->keep($message);
    }

    private function keep(PivotEvent $message): Taken
    {
        $reference = $message->request->reference;
        if ($this->teleservices !== [] && !in_array($message->request->teleservice, $this->teleservices, true)) {
            throw new Refused('we do not know this teleservice');
        }
        $known = $this->journal->known();
        if (isset($known->messages[$message->id])) {
            return $known->messages[$message->id];
        }
        // Files are read before the transaction: it is short, however large they are.
        foreach ($message->files as $n => $file) {
            $this->file($file, $this->place($reference, $message->id, $n));
        }
        $taken = null;
        $this->journal->transaction(function (Known $known) use ($message, $reference, &$taken): array {
            $taken = $known->messages[$message->id] ?? null;
            if ($taken !== null) {
                return [];
            }
            $ticket = $known->tickets[$reference] ?? null;
            if ($ticket !== null && $ticket['erased']) {
                throw new Refused('this person was erased');
            }
            if ($ticket === null && $message->type !== 'request.created') {
                throw new Later('the request itself is not here yet');
            }
            [$number, $changes] = $ticket === null ? $this->ticket($known, $reference) : [$ticket['number'], []];
            $taken = new Taken($number);

            return [[
                'what' => 'message',
                'id' => $message->id,
                'reference' => $reference,
                'sequence' => $message->sequence,
                'number' => $number,
                'changes' => $changes,
                'body' => ['data' => $message->data, 'message' => $message->message],
            ]];
        });

        return $taken;
    }

    /**
     * A new ticket: its number, and what is to be told of it. It is written with the message, or
     * neither is.
     *
     * @return array{string, list<array<string, mixed>>}
     */
    private function ticket(Known $known, string $reference): array
    {
        $number = 'T-' . (count($known->tickets) + 1);
        $change = new PivotChange(key: "$number-accepted", status: PivotStatus::ACCEPTED);

        return [$number, [['reference' => $reference, 'body' => $change->written()]]];
    }

    private function erase(PivotErasure $message): Taken
    {
        $taken = null;
        $this->journal->transaction(function (Known $known) use ($message, &$taken): array {
            $taken = $known->messages[$message->id] ?? null;
            if ($taken !== null) {
                return [];
            }
            $outcome = isset($known->tickets[$message->reference]) ? 'erased' : 'absent';
            $taken = new Taken(null, $outcome);
            $this->journal->forget($message->reference);
            array_map('unlink', glob("$this->files/" . hash('sha256', $message->reference) . '-*') ?: []);

            return [[
                'what' => 'erased',
                'id' => $message->id,
                'reference' => $message->reference,
                'outcome' => $outcome,
            ]];
        });

        return $taken;
    }

    private function place(string $reference, string $id, int $n): string
    {
        is_dir($this->files) || @mkdir($this->files, 0o700, true);

        return "$this->files/" . hash('sha256', $reference) . '-' . substr(hash('sha256', $id), 0, 16) . "-$n";
    }

    /** Puts a file at a place, whole and proven. Throws Refused, Later. */
    private function file(PivotFile $file, string $place): void
    {
        $opened = fopen($place, 'w+');
        if ($opened === false) {
            throw new Later('a file cannot be written');
        }
        try {
            if ($file->content === null) {
                $this->client->download($file, $opened);
            } else {
                $content = base64_decode($file->content, true);
                if ($content === false || !hash_equals(hash('sha256', $content), $file->sha256)) {
                    throw new Refused('a file is not the one that its SHA-256 names');
                }
                fwrite($opened, $content);
            }
            fsync($opened);
        } catch (PivotError $error) {
            throw new Later("a file cannot be read: {$error->getMessage()}");
        } catch (Unreadable $error) {
            throw new Refused($error->getMessage());
        } finally {
            fclose($opened);
        }
    }
}
