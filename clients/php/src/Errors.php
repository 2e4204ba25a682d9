<?php

declare(strict_types=1);

namespace Toodego\Pivot;

/** An answer against the contract. The sentence names the field, not its value. */
final class Unreadable extends \RuntimeException
{
}

/** A message that nobody proves: answer 401, and take nothing of it. */
final class Unproven extends \RuntimeException
{
}

/**
 * A call that failed. `again`: seconds after which the same call is worth making; null: never as it
 * is.
 */
class PivotError extends \RuntimeException
{
    public function __construct(string $message, public readonly ?float $again)
    {
        parent::__construct($message);
    }
}

/**
 * Nobody answered, or the answer did not come whole: whether the call counted is not known. Make it
 * again; a key, an id or a token sees to it that it counts once.
 */
final class Unreachable extends PivotError
{
    public function __construct(string $message)
    {
        parent::__construct($message, 5.0);
    }
}

/** A file that did not come whole, or whose bytes are not those that the message names. */
final class Broken extends PivotError
{
    public function __construct(string $message)
    {
        parent::__construct($message, 30.0);
    }
}

/** The gateway said no. `failure` is its answer (RFC 9457), where it is one of the contract. */
final class Problem extends PivotError
{
    public function __construct(
        public readonly int $status,
        public readonly ?PivotFailure $failure,
        ?float $again,
    ) {
        $word = $failure === null ? '' : ", {$failure->type}: {$failure->detail}";
        parent::__construct("HTTP $status$word", $again);
    }
}
