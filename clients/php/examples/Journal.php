<?php

declare(strict_types=1);

namespace Toodego\Example;

/**
 * A memory in one file: a line of JSON for each thing that was done, whole or not at all. A program
 * that is killed leaves half a line at most, which the next one cuts off. It is read anew for each
 * transaction: good for an example and some thousand requests, a database is better.
 */
final class Journal
{
    public function __construct(private readonly string $file)
    {
    }

    /**
     * Does one thing that nobody else does meanwhile. `$act` is given what is known, and returns the
     * lines to be added; they are on disk when this returns.
     *
     * @param callable(Known): list<array<string, mixed>> $act
     */
    public function transaction(callable $act): void
    {
        $lock = fopen("$this->file.lock", 'c');
        if ($lock === false || !flock($lock, LOCK_EX)) {
            throw new \RuntimeException('the memory cannot be locked');
        }
        try {
            $lines = $act($this->known());
            if ($lines !== []) {
                $this->append($lines);
            }
        } finally {
            fclose($lock);
        }
    }

    /** What is known now. */
    public function known(): Known
    {
        $known = new Known();
        foreach ($this->lines() as $line) {
            $known->add($line);
        }

        return $known;
    }

    /** Takes the words of a request out of the file. To be called within a transaction. */
    public function forget(string $reference): void
    {
        $text = '';
        foreach ($this->lines() as $line) {
            if (($line['reference'] ?? null) === $reference) {
                unset($line['body']);
            }
            $text .= self::encoded($line);
        }
        $other = "$this->file.new";
        self::written($other, 'w', $text);
        rename($other, $this->file);
    }

    /** @return iterable<array<string, mixed>> */
    private function lines(): iterable
    {
        $opened = @fopen($this->file, 'r');
        while ($opened !== false && ($line = fgets($opened)) !== false) {
            if (str_ends_with($line, "\n")) {
                yield json_decode($line, true, 64, JSON_THROW_ON_ERROR);
            }
        }
    }

    /** @param list<array<string, mixed>> $lines */
    private function append(array $lines): void
    {
        $half = @fopen($this->file, 'r+');
        if ($half !== false) {
            $end = strrpos((string) stream_get_contents($half), "\n");
            ftruncate($half, $end === false ? 0 : $end + 1);
            fclose($half);
        }
        self::written($this->file, 'a', implode('', array_map(self::encoded(...), $lines)));
    }

    private static function written(string $file, string $mode, string $text): void
    {
        $opened = fopen($file, $mode);
        $done = $opened !== false && fwrite($opened, $text) === strlen($text)
            && fflush($opened) && fsync($opened) && fclose($opened);
        if (!$done) {
            throw new \RuntimeException('the memory cannot be written');
        }
    }

    /** @param array<string, mixed> $line */
    private static function encoded(array $line): string
    {
        return json_encode($line, JSON_UNESCAPED_UNICODE | JSON_THROW_ON_ERROR) . "\n";
    }
}

/** What the lines say, taken together. */
final class Known
{
    /** @var array<string, Taken> by the message's id */
    public array $messages = [];
    /** @var array<string, array{number: string, erased: bool}> by the request's reference */
    public array $tickets = [];
    /** @var array<string, array<string, mixed>> what is still to be told, by its key */
    public array $changes = [];
    /** @var array<string, array<string, mixed>> results of fetched messages, by their tokens */
    public array $results = [];

    /** @param array<string, mixed> $line */
    public function add(array $line): void
    {
        switch ($line['what']) {
            case 'message':
                $this->messages[$line['id']] = new Taken($line['number'], null);
                $this->tickets[$line['reference']] ??= ['number' => $line['number'], 'erased' => false];
                foreach ($line['changes'] as $change) {
                    $this->changes[$change['body']['key']] = $change;
                }
                break;
            case 'erased':
                $this->messages[$line['id']] = new Taken(null, $line['outcome']);
                if (isset($this->tickets[$line['reference']])) {
                    $this->tickets[$line['reference']]['erased'] = true;
                }
                $others = static fn (array $one): bool => $one['reference'] !== $line['reference'];
                $this->changes = array_filter($this->changes, $others);
                break;
            case 'told':
                unset($this->changes[$line['key']]);
                break;
            case 'fetched':
                $this->results[$line['token']] = $line['result'];
                break;
            case 'settled':
                $this->results = array_diff_key($this->results, array_flip($line['tokens']));
                break;
        }
    }
}
