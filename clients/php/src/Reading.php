<?php

declare(strict_types=1);

namespace Toodego\Pivot;

/** Reads the values of a JSON object, each of its kind. All of them throw Unreadable. */
final class Reading
{
    /** A moment with its offset from UTC (RFC 3339). */
    private const MOMENT = '/\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)\z/';

    /** @param array<string, mixed> $raw */
    public static function text(array $raw, string $name): string
    {
        return is_string($raw[$name] ?? null) ? $raw[$name] : throw self::not($name);
    }

    /** @param array<string, mixed> $raw */
    public static function textOrNull(array $raw, string $name): ?string
    {
        return isset($raw[$name]) ? self::text($raw, $name) : null;
    }

    /**
     * @param array<string, mixed> $raw
     * @return list<string>
     */
    public static function texts(array $raw, string $name): array
    {
        $found = $raw[$name] ?? [];
        if (!is_array($found) || !array_is_list($found)) {
            throw self::not($name);
        }

        return array_map(static fn ($one) => self::text([$name => $one], $name), $found);
    }

    /** @param array<string, mixed> $raw */
    public static function whole(array $raw, string $name): int
    {
        return is_int($raw[$name] ?? null) ? $raw[$name] : throw self::not($name);
    }

    /** @param array<string, mixed> $raw */
    public static function wholeOrNull(array $raw, string $name): ?int
    {
        return isset($raw[$name]) ? self::whole($raw, $name) : null;
    }

    /** @param array<string, mixed> $raw */
    public static function truth(array $raw, string $name): bool
    {
        return is_bool($raw[$name] ?? null) ? $raw[$name] : throw self::not($name);
    }

    /** @param array<string, mixed> $raw */
    public static function moment(array $raw, string $name): \DateTimeImmutable
    {
        $text = self::text($raw, $name);
        // PHP itself would take "tomorrow", and a time without its offset.
        if (preg_match(self::MOMENT, $text) !== 1) {
            throw self::not($name);
        }
        try {
            return new \DateTimeImmutable($text);
        } catch (\Exception) {
            throw self::not($name);
        }
    }

    /** @param array<string, mixed> $raw */
    public static function momentOrNull(array $raw, string $name): ?\DateTimeImmutable
    {
        return isset($raw[$name]) ? self::moment($raw, $name) : null;
    }

    /**
     * @param array<string, mixed> $raw
     * @return array<string, mixed>
     */
    public static function object(array $raw, string $name): array
    {
        return is_array($raw[$name] ?? null) ? $raw[$name] : throw self::not($name);
    }

    /**
     * @template T
     * @param array<string, mixed> $raw
     * @param callable(array<string, mixed>): T $read
     * @return T
     */
    public static function model(array $raw, string $name, callable $read): mixed
    {
        return $read(self::object($raw, $name));
    }

    /**
     * @template T
     * @param array<string, mixed> $raw
     * @param callable(array<string, mixed>): T $read
     * @return T|null
     */
    public static function modelOrNull(array $raw, string $name, callable $read): mixed
    {
        return isset($raw[$name]) ? self::model($raw, $name, $read) : null;
    }

    /**
     * @param array<string, mixed> $raw
     * @return list<array<string, mixed>>
     */
    public static function models(array $raw, string $name): array
    {
        $found = self::object($raw, $name);
        foreach ($found as $one) {
            is_array($one) || throw self::not($name);
        }

        return array_values($found);
    }

    /**
     * The same; none where an earlier contract has none.
     *
     * @param array<string, mixed> $raw
     * @return list<array<string, mixed>>
     */
    public static function modelsOrNone(array $raw, string $name): array
    {
        return isset($raw[$name]) ? self::models($raw, $name) : [];
    }

    private static function not(string $name): Unreadable
    {
        return new Unreadable("`$name` is missing, or is not what the contract says");
    }
}

/** A message of a type that is not in this contract: to be acknowledged, and passed over. */
final class Unknown
{
    public function __construct(public readonly string $id, public readonly string $type)
    {
    }

    /** @param array<string, mixed> $raw */
    public static function read(array $raw): self
    {
        return new self(Reading::text($raw, 'id'), Reading::text($raw, 'type'));
    }
}
