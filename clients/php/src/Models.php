<?php

// The bodies of the pivot contract 1.2.0.
// Generated from docs/pivot/openapi.json by `python -m clients.generate .`: not to be edited.

declare(strict_types=1);

namespace Toodego\Pivot;

const VERSION = '1.2.0';

/**
 * The events of a request.
 */
final class PivotEventType
{
    public const ALL = ['request.created', 'request.message', 'request.document', 'request.changed', 'request.cancelled'];
    public const CREATED = 'request.created';
    public const MESSAGE = 'request.message';
    public const DOCUMENT = 'request.document';
    public const CHANGED = 'request.changed';
    public const CANCELLED = 'request.cancelled';
}

/**
 * The statuses that a commune may give. `done`, `refused` and `cancelled` end a request.
 */
final class PivotStatus
{
    public const ALL = ['accepted', 'in_progress', 'planned', 'waiting_citizen', 'done', 'refused', 'cancelled'];
    public const ACCEPTED = 'accepted';
    public const IN_PROGRESS = 'in_progress';
    public const PLANNED = 'planned';
    public const WAITING_CITIZEN = 'waiting_citizen';
    public const DONE = 'done';
    public const REFUSED = 'refused';
    public const CANCELLED = 'cancelled';
}

/**
 * RFC 6749, 5.1.
 */
final class AccessToken
{
    /**
     * @param int $expires_in Seconds.
     */
    public function __construct(
        public readonly string $access_token,
        public readonly int $expires_in,
        public readonly string $token_type,
    ) {
    }

    /**
     * From JSON. Throws Unreadable; what is not known is passed over.
     *
     * @param array<string, mixed> $raw
     */
    public static function read(array $raw): self
    {
        return new self(
            Reading::text($raw, 'access_token'),
            Reading::whole($raw, 'expires_in'),
            Reading::text($raw, 'token_type'),
        );
    }
}

/**
 * The answer to a pushed event: a 2xx, with this body or none. Other fields are ignored.
 *
 * After any other status we send again or, for a 4xx, show the event to a person.
 */
final class Acknowledgement
{
    /**
     * @param ?string $reference The commune's own number.
     * @param ?string $link Where agents see it.
     */
    public function __construct(
        public readonly ?string $reference = null,
        public readonly ?ErasureReceipt $erasure = null,
        public readonly ?string $link = null,
    ) {
    }

    /**
     * As JSON has it, without what was left out.
     *
     * @return array<string, mixed>
     */
    public function written(): array
    {
        $found = [];
        if ($this->reference !== null) {
            $found['reference'] = $this->reference;
        }
        if ($this->erasure !== null) {
            $found['erasure'] = $this->erasure->written();
        }
        if ($this->link !== null) {
            $found['link'] = $this->link;
        }

        return $found;
    }
}

/**
 * The change is on disk.
 */
final class ChangeReceipt
{
    /**
     * @param bool $known True when this key had come before, with the same content.
     */
    public function __construct(
        public readonly string $key,
        public readonly string $reference,
        public readonly bool $known,
    ) {
    }

    /**
     * From JSON. Throws Unreadable; what is not known is passed over.
     *
     * @param array<string, mixed> $raw
     */
    public static function read(array $raw): self
    {
        return new self(
            Reading::text($raw, 'key'),
            Reading::text($raw, 'reference'),
            Reading::truth($raw, 'known'),
        );
    }
}

/**
 * The fate of each result, the next messages, and whether there are more.
 */
final class ClaimAnswer
{
    /**
     * @param list<ClaimedItem> $items
     * @param list<SettledClaim> $settled
     */
    public function __construct(
        public readonly Heartbeat $heartbeat,
        public readonly array $items,
        public readonly bool $more,
        public readonly array $settled,
    ) {
    }

    /**
     * From JSON. Throws Unreadable; what is not known is passed over.
     *
     * @param array<string, mixed> $raw
     */
    public static function read(array $raw): self
    {
        return new self(
            Reading::model($raw, 'heartbeat', Heartbeat::read(...)),
            array_map(ClaimedItem::read(...), Reading::models($raw, 'items')),
            Reading::truth($raw, 'more'),
            array_map(SettledClaim::read(...), Reading::models($raw, 'settled')),
        );
    }
}

/**
 * The result of a fetched message. `token` is the one that came with it.
 *
 * `done`: the commune has it, under its number if there is one. `refused`: it will never be taken
 * as it is, because of `problems`; a person has to look. `later`: it may be fetched again after
 * `after` seconds. `release`: it is given back, untried. `extend`: the commune is still at work,
 * and keeps it for this call's `lease` from now, at most twelve hours from when it was fetched.
 */
final class ClaimResultTold
{
    /**
     * @param list<string> $problems At least one with `refused`.
     */
    public function __construct(
        public readonly string $token,
        public readonly string $result,
        public readonly ?string $reference = null,
        public readonly ?int $after = null,
        public readonly ?ErasureReceipt $erasure = null,
        public readonly ?string $link = null,
        public readonly array $problems = [],
    ) {
    }

    /**
     * As JSON has it, without what was left out.
     *
     * @return array<string, mixed>
     */
    public function written(): array
    {
        $found = [];
        $found['token'] = $this->token;
        $found['result'] = $this->result;
        if ($this->reference !== null) {
            $found['reference'] = $this->reference;
        }
        if ($this->after !== null) {
            $found['after'] = $this->after;
        }
        if ($this->erasure !== null) {
            $found['erasure'] = $this->erasure->written();
        }
        if ($this->link !== null) {
            $found['link'] = $this->link;
        }
        if ($this->problems !== []) {
            $found['problems'] = $this->problems;
        }

        return $found;
    }
}

/**
 * A fetched message. Those of one request come one at a time, in their order.
 */
final class ClaimedItem
{
    /**
     * @param string $token To be told with the result. It outlives our restarts.
     * @param int $attempt How often it has been fetched: 1 the first time.
     */
    public function __construct(
        public readonly string $token,
        public readonly int $attempt,
        public readonly PivotEvent|PivotErasure|Unknown $event,
        public readonly \DateTimeImmutable $lease_until,
    ) {
    }

    /**
     * From JSON. Throws Unreadable; what is not known is passed over.
     *
     * @param array<string, mixed> $raw
     */
    public static function read(array $raw): self
    {
        return new self(
            Reading::text($raw, 'token'),
            Reading::whole($raw, 'attempt'),
            Reading::model($raw, 'event', static fn (array $one) => match ($one['type'] ?? null) {
                'request.erased' => PivotErasure::read($one),
                default => in_array($one['type'] ?? null, PivotEventType::ALL, true)
                    ? PivotEvent::read($one) : Unknown::read($one),
            }),
            Reading::moment($raw, 'lease_until'),
        );
    }
}

/**
 * The end of a person's data. `kept` needs its legal ground and, if known, its end and who
 * decided it. None of them names the person.
 */
final class ErasureReceipt
{
    /**
     * @param ?string $decided_by Who decided to keep: an office, or its agent.
     */
    public function __construct(
        public readonly string $outcome,
        public readonly ?string $decided_by = null,
        public readonly ?string $ground = null,
        public readonly ?\DateTimeImmutable $until = null,
    ) {
    }

    /**
     * As JSON has it, without what was left out.
     *
     * @return array<string, mixed>
     */
    public function written(): array
    {
        $found = [];
        $found['outcome'] = $this->outcome;
        if ($this->decided_by !== null) {
            $found['decided_by'] = $this->decided_by;
        }
        if ($this->ground !== null) {
            $found['ground'] = $this->ground;
        }
        if ($this->until !== null) {
            $found['until'] = $this->until->format(DATE_ATOM);
        }

        return $found;
    }
}

/**
 * A page of the feed. While there is `more`, go on from the last `seq` that you read.
 */
final class EventsPage
{
    /**
     * @param list<FedEvent> $items
     * @param int $last_seq The last number in the feed; 0 while there is none.
     */
    public function __construct(
        public readonly array $items,
        public readonly int $last_seq,
        public readonly bool $more,
    ) {
    }

    /**
     * From JSON. Throws Unreadable; what is not known is passed over.
     *
     * @param array<string, mixed> $raw
     */
    public static function read(array $raw): self
    {
        return new self(
            array_map(FedEvent::read(...), Reading::models($raw, 'items')),
            Reading::whole($raw, 'last_seq'),
            Reading::truth($raw, 'more'),
        );
    }
}

/**
 * A message in the feed. `event` is null for a message that was erased, or that cannot be made
 * at present; its number stays.
 */
final class FedEvent
{
    /**
     * @param int $seq Its number: larger than any before it; some may be missing.
     * @param bool $taken You have acknowledged it.
     */
    public function __construct(
        public readonly string $reference,
        public readonly bool $erased,
        public readonly PivotEvent|PivotErasure|Unknown|null $event,
        public readonly int $seq,
        public readonly bool $taken,
    ) {
    }

    /**
     * From JSON. Throws Unreadable; what is not known is passed over.
     *
     * @param array<string, mixed> $raw
     */
    public static function read(array $raw): self
    {
        return new self(
            Reading::text($raw, 'reference'),
            Reading::truth($raw, 'erased'),
            Reading::modelOrNull($raw, 'event', static fn (array $one) => match ($one['type'] ?? null) {
                'request.erased' => PivotErasure::read($one),
                default => in_array($one['type'] ?? null, PivotEventType::ALL, true)
                    ? PivotEvent::read($one) : Unknown::read($one),
            }),
            Reading::whole($raw, 'seq'),
            Reading::truth($raw, 'taken'),
        );
    }
}

/**
 * One fault of a body: its problem, and its place (JSON Pointer).
 */
final class FieldFault
{
    public function __construct(
        public readonly string $type,
        public readonly string $detail,
        public readonly string $pointer,
    ) {
    }

    /**
     * From JSON. Throws Unreadable; what is not known is passed over.
     *
     * @param array<string, mixed> $raw
     */
    public static function read(array $raw): self
    {
        return new self(
            Reading::text($raw, 'type'),
            Reading::text($raw, 'detail'),
            Reading::text($raw, 'pointer'),
        );
    }
}

/**
 * The state of the mailbox. Each answer has it, also one without a message.
 */
final class Heartbeat
{
    /**
     * @param int $last_seq The last number in the feed; 0 while there is none.
     * @param ?\DateTimeImmutable $oldest_at Since when the oldest of them waits.
     * @param int $waiting Messages that may be fetched now, besides these.
     */
    public function __construct(
        public readonly \DateTimeImmutable $at,
        public readonly int $last_seq,
        public readonly ?\DateTimeImmutable $oldest_at,
        public readonly int $waiting,
    ) {
    }

    /**
     * From JSON. Throws Unreadable; what is not known is passed over.
     *
     * @param array<string, mixed> $raw
     */
    public static function read(array $raw): self
    {
        return new self(
            Reading::moment($raw, 'at'),
            Reading::whole($raw, 'last_seq'),
            Reading::momentOrNull($raw, 'oldest_at'),
            Reading::whole($raw, 'waiting'),
        );
    }
}

/**
 * A change of a request, from the commune: all of it is taken, or nothing.
 *
 * `key` is the commune's own and names one change of the request. A repeated key is known if its
 * content is the same, else it is refused. Each other field is optional. After the change that
 * ends a request, the commune may still write to the citizen.
 */
final class PivotChange
{
    /**
     * @param ?\DateTimeImmutable $at When it happened, if not now, with its offset from UTC.
     * @param list<PivotDocument> $documents
     * @param ?string $gru_reference The commune's own number, where it is given only now.
     * @param ?string $internal Stays inside; no citizen reads it.
     * @param ?string $public The citizen reads it: plain text.
     */
    public function __construct(
        public readonly string $key,
        public readonly ?string $status = null,
        public readonly ?\DateTimeImmutable $at = null,
        public readonly array $documents = [],
        public readonly ?string $gru_reference = null,
        public readonly ?string $internal = null,
        public readonly ?string $public = null,
    ) {
    }

    /**
     * As JSON has it, without what was left out.
     *
     * @return array<string, mixed>
     */
    public function written(): array
    {
        $found = [];
        $found['key'] = $this->key;
        if ($this->status !== null) {
            $found['status'] = $this->status;
        }
        if ($this->at !== null) {
            $found['at'] = $this->at->format(DATE_ATOM);
        }
        if ($this->documents !== []) {
            $found['documents'] = array_map(fn ($one) => $one->written(), $this->documents);
        }
        if ($this->gru_reference !== null) {
            $found['gru_reference'] = $this->gru_reference;
        }
        if ($this->internal !== null) {
            $found['internal'] = $this->internal;
        }
        if ($this->public !== null) {
            $found['public'] = $this->public;
        }

        return $found;
    }
}

/**
 * Gives the results of fetched messages, and fetches the next ones, in one call.
 *
 * `lease`: seconds in which you give the result of each message; then it may be fetched again. It
 * holds for the messages of this call, and for those that it extends. `wait`: seconds that the
 * call may stay open while there is no message.
 */
final class PivotClaim
{
    /**
     * @param list<ClaimResultTold> $settled
     */
    public function __construct(
        public readonly int $lease = 600,
        public readonly int $max = 10,
        public readonly array $settled = [],
        public readonly int $wait = 0,
    ) {
    }

    /**
     * As JSON has it, without what was left out.
     *
     * @return array<string, mixed>
     */
    public function written(): array
    {
        $found = [];
        $found['lease'] = $this->lease;
        $found['max'] = $this->max;
        if ($this->settled !== []) {
            $found['settled'] = array_map(fn ($one) => $one->written(), $this->settled);
        }
        $found['wait'] = $this->wait;

        return $found;
    }
}

/**
 * A file for the citizen.
 */
final class PivotDocument
{
    /**
     * @param string $content Base64.
     */
    public function __construct(
        public readonly string $content,
        public readonly string $content_type,
        public readonly string $filename,
    ) {
    }

    /**
     * As JSON has it, without what was left out.
     *
     * @return array<string, mixed>
     */
    public function written(): array
    {
        $found = [];
        $found['content'] = $this->content;
        $found['content_type'] = $this->content_type;
        $found['filename'] = $this->filename;

        return $found;
    }
}

/**
 * An order to forget a person: erase all data of this request, and answer a receipt.
 */
final class PivotErasure
{
    public function __construct(
        public readonly string $id,
        public readonly string $type,
        public readonly string $reference,
        public readonly string $api_version,
        public readonly ?string $gru_reference,
        public readonly Recipient $recipient,
    ) {
    }

    /**
     * From JSON. Throws Unreadable; what is not known is passed over.
     *
     * @param array<string, mixed> $raw
     */
    public static function read(array $raw): self
    {
        return new self(
            Reading::text($raw, 'id'),
            Reading::text($raw, 'type'),
            Reading::text($raw, 'reference'),
            Reading::text($raw, 'api_version'),
            Reading::textOrNull($raw, 'gru_reference'),
            Reading::model($raw, 'recipient', Recipient::read(...)),
        );
    }
}

/**
 * One event of a request. It keeps its `id` each time it is sent: take each `id` once.
 */
final class PivotEvent
{
    /**
     * @param array<string, mixed> $data What the commune's mapping makes of it.
     * @param list<PivotFile> $files
     * @param ?string $message What the citizen wrote, plain text.
     * @param int $sequence Its place among the events of its request: 1, 2, 3...
     */
    public function __construct(
        public readonly string $id,
        public readonly string $type,
        public readonly string $api_version,
        public readonly array $data,
        public readonly array $files,
        public readonly ?string $message,
        public readonly Recipient $recipient,
        public readonly PivotRequest $request,
        public readonly int $sequence,
    ) {
    }

    /**
     * From JSON. Throws Unreadable; what is not known is passed over.
     *
     * @param array<string, mixed> $raw
     */
    public static function read(array $raw): self
    {
        return new self(
            Reading::text($raw, 'id'),
            Reading::text($raw, 'type'),
            Reading::text($raw, 'api_version'),
            Reading::object($raw, 'data'),
            array_map(PivotFile::read(...), Reading::models($raw, 'files')),
            Reading::textOrNull($raw, 'message'),
            Reading::model($raw, 'recipient', Recipient::read(...)),
            Reading::model($raw, 'request', PivotRequest::read(...)),
            Reading::whole($raw, 'sequence'),
        );
    }
}

/**
 * RFC 9457, with who is at fault and whether to send it again.
 *
 * `type` never changes; the registry of problems lists all types. `errors` are all faults of the
 * body; `pointer` and `detail` are those of the first one. Give us `correlation` when you ask.
 */
final class PivotFailure
{
    /**
     * @param list<FieldFault> $errors
     */
    public function __construct(
        public readonly string $type,
        public readonly int $status,
        public readonly string $correlation,
        public readonly string $detail,
        public readonly string $fault,
        public readonly ?string $pointer,
        public readonly string $retry,
        public readonly string $title,
        public readonly array $errors = [],
    ) {
    }

    /**
     * From JSON. Throws Unreadable; what is not known is passed over.
     *
     * @param array<string, mixed> $raw
     */
    public static function read(array $raw): self
    {
        return new self(
            Reading::text($raw, 'type'),
            Reading::whole($raw, 'status'),
            Reading::text($raw, 'correlation'),
            Reading::text($raw, 'detail'),
            Reading::text($raw, 'fault'),
            Reading::textOrNull($raw, 'pointer'),
            Reading::text($raw, 'retry'),
            Reading::text($raw, 'title'),
            array_map(FieldFault::read(...), Reading::modelsOrNone($raw, 'errors')),
        );
    }
}

/**
 * A citizen's file: either its bytes in `content`, or a link in `url`.
 */
final class PivotFile
{
    /**
     * @param string $content_type Its true type, found in its bytes.
     * @param string $field The form's field.
     * @param string $sha256 Of the bytes, 64 hexadecimal digits. Where what came has another, read the file again.
     * @param int $size Bytes.
     * @param ?string $content Base64, for a small file.
     * @param ?string $url A signed link, good until `expires_at`; it takes `Range`.
     */
    public function __construct(
        public readonly string $content_type,
        public readonly string $field,
        public readonly string $filename,
        public readonly string $sha256,
        public readonly int $size,
        public readonly ?string $content = null,
        public readonly ?\DateTimeImmutable $expires_at = null,
        public readonly ?string $url = null,
    ) {
    }

    /**
     * From JSON. Throws Unreadable; what is not known is passed over.
     *
     * @param array<string, mixed> $raw
     */
    public static function read(array $raw): self
    {
        return new self(
            Reading::text($raw, 'content_type'),
            Reading::text($raw, 'field'),
            Reading::text($raw, 'filename'),
            Reading::text($raw, 'sha256'),
            Reading::whole($raw, 'size'),
            Reading::textOrNull($raw, 'content'),
            Reading::momentOrNull($raw, 'expires_at'),
            Reading::textOrNull($raw, 'url'),
        );
    }
}

/**
 * A citizen's request, as it was filed.
 */
final class PivotRequest
{
    /**
     * @param string $reference Ours, for ever: the key of everything about the request.
     * @param string $commune INSEE code of the commune that the request is for.
     * @param \DateTimeImmutable $filed_at When the citizen filed it (UTC).
     * @param ?string $gru_reference The commune's own number, once it has given it.
     * @param ?string $number The number that the citizen reads.
     * @param \DateTimeImmutable $received_at When the gateway took it (UTC).
     * @param string $teleservice The form's slug at the portal.
     */
    public function __construct(
        public readonly string $reference,
        public readonly string $commune,
        public readonly \DateTimeImmutable $filed_at,
        public readonly ?string $gru_reference,
        public readonly ?string $number,
        public readonly string $portal,
        public readonly \DateTimeImmutable $received_at,
        public readonly PivotService $service,
        public readonly string $teleservice,
    ) {
    }

    /**
     * From JSON. Throws Unreadable; what is not known is passed over.
     *
     * @param array<string, mixed> $raw
     */
    public static function read(array $raw): self
    {
        return new self(
            Reading::text($raw, 'reference'),
            Reading::text($raw, 'commune'),
            Reading::moment($raw, 'filed_at'),
            Reading::textOrNull($raw, 'gru_reference'),
            Reading::textOrNull($raw, 'number'),
            Reading::text($raw, 'portal'),
            Reading::moment($raw, 'received_at'),
            Reading::model($raw, 'service', PivotService::read(...)),
            Reading::text($raw, 'teleservice'),
        );
    }
}

/**
 * The service in charge of the request, and its contact details (CRPA, R112-11-1).
 */
final class PivotService
{
    public function __construct(
        public readonly string $name,
        public readonly ?string $address = null,
        public readonly ?string $email = null,
        public readonly ?string $phone = null,
    ) {
    }

    /**
     * From JSON. Throws Unreadable; what is not known is passed over.
     *
     * @param array<string, mixed> $raw
     */
    public static function read(array $raw): self
    {
        return new self(
            Reading::text($raw, 'name'),
            Reading::textOrNull($raw, 'address'),
            Reading::textOrNull($raw, 'email'),
            Reading::textOrNull($raw, 'phone'),
        );
    }
}

/**
 * The addressee of a message. Refuse a message for another one.
 */
final class Recipient
{
    /**
     * @param string $commune INSEE code, five characters.
     */
    public function __construct(
        public readonly string $commune,
        public readonly string $environment,
    ) {
    }

    /**
     * From JSON. Throws Unreadable; what is not known is passed over.
     *
     * @param array<string, mixed> $raw
     */
    public static function read(array $raw): self
    {
        return new self(
            Reading::text($raw, 'commune'),
            Reading::text($raw, 'environment'),
        );
    }
}

/**
 * The fate of a result.
 *
 * `recorded`: it is on disk. `known`: the message was already over, with the same number. `lost`:
 * the message was fetched again since, is over with another result, or is not yours. An `extend`
 * is also `lost` after the longest time; a result still counts then.
 */
final class SettledClaim
{
    /**
     * @param ?\DateTimeImmutable $lease_until Of an `extend`: its end now.
     */
    public function __construct(
        public readonly string $token,
        public readonly string $outcome,
        public readonly ?\DateTimeImmutable $lease_until = null,
    ) {
    }

    /**
     * From JSON. Throws Unreadable; what is not known is passed over.
     *
     * @param array<string, mixed> $raw
     */
    public static function read(array $raw): self
    {
        return new self(
            Reading::text($raw, 'token'),
            Reading::text($raw, 'outcome'),
            Reading::momentOrNull($raw, 'lease_until'),
        );
    }
}
