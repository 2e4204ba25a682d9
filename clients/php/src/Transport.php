<?php

declare(strict_types=1);

namespace Toodego\Pivot;

/** Carries the calls: HTTP by PHP's streams, a token that is renewed, bounds on all of it. */
abstract class Transport
{
    /** Bytes of an answer; one with a hundred messages and their small files has room. */
    public const LARGEST_ANSWER = 64_000_000;
    /** A token that has so many seconds left is renewed. */
    private const MARGIN = 60;
    /** A token is used for so many seconds at most, whatever its answer says. */
    private const LONGEST_LIFE = 86_400;
    /** Reads of one file before it is given up. */
    private const TRIES = 4;

    private string $token = '';
    private float $tokenUntil = 0.0;

    /**
     * Makes calls at `$baseUrl` (`https://passerelle.example`) for one client (`69029.main`).
     * `$timeout`: seconds without a byte.
     */
    public function __construct(
        private readonly string $baseUrl,
        private readonly string $clientId,
        #[\SensitiveParameter]
        private readonly string $clientSecret,
        private readonly float $timeout = 60.0,
    ) {
    }

    /**
     * A call with a token, and the JSON of its answer. Throws Problem, Unreachable, Unreadable.
     *
     * @param array<string, mixed>|null $body
     * @param array<string, int> $query
     * @return array<string, mixed>
     */
    public function call(string $method, string $path, ?array $body = null, array $query = []): array
    {
        $address = $path . ($query === [] ? '' : '?' . http_build_query($query));
        for ($try = 1;; $try++) {
            $headers = ['Authorization: Bearer ' . $this->bearer(), 'Accept: application/json'];
            $data = null;
            if ($body !== null) {
                $headers[] = 'Content-Type: application/json';
                $flags = JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_THROW_ON_ERROR;
                $data = $body === [] ? '{}' : json_encode($body, $flags);
            }
            try {
                return self::decoded($this->send($method, $address, $headers, $data));
            } catch (Problem $problem) {
                if ($problem->status !== 401 || $try > 1) {
                    throw $problem;
                }
                $this->token = ''; // the gateway does not know it any more: ask for another, once
            }
        }
    }

    /**
     * Writes the bytes of a file that a message names, whole and proven by their SHA-256. A read
     * that breaks goes on where it was. Throws Broken, Problem.
     *
     * @param resource $into opened for reading and writing
     */
    public function download(PivotFile $file, $into): void
    {
        if (preg_match('~\Ahttps?://[!-\~]+\z~i', $file->url ?? '') !== 1) {
            throw new Unreadable('`url` is no address of the web: are the bytes in `content`?');
        }
        for ($try = 0; $try < self::TRIES && ftell($into) < $file->size; $try++) {
            try {
                $this->readOn($file, $into);
            } catch (Unreachable) {
                continue;
            }
        }
        if (ftell($into) !== $file->size) {
            throw new Broken('the file did not come whole');
        }
        rewind($into);
        $digest = hash_init('sha256');
        hash_update_stream($digest, $into);
        if (!hash_equals(hash_final($digest), $file->sha256)) {
            rewind($into);
            ftruncate($into, 0);
            throw new Broken('its bytes are not those that the message names (SHA-256)');
        }
    }

    /** @param resource $into */
    private function readOn(PivotFile $file, $into): void
    {
        $at = (int) ftell($into);
        [$stream, $status, $told] = $this->open('GET', (string) $file->url, $at > 0 ? ["Range: bytes=$at-"] : [], null);
        try {
            if ($status !== 200 && $status !== 206) {
                throw self::refused($status, $told, (string) stream_get_contents($stream, 1_000_000));
            }
            if ($at > 0 && $status !== 206) {
                rewind($into);
                ftruncate($into, 0);
            }
            while (ftell($into) <= $file->size) {
                $piece = @fread($stream, 65_536);
                if ($piece === false || $piece === '') {
                    return;
                }
                fwrite($into, $piece);
            }
        } finally {
            fclose($stream);
        }
    }

    private function bearer(): string
    {
        if ($this->token !== '' && hrtime(true) / 1e9 < $this->tokenUntil) {
            return $this->token;
        }
        $form = http_build_query([
            'grant_type' => 'client_credentials',
            'client_id' => $this->clientId,
            'client_secret' => $this->clientSecret,
        ]);
        $headers = ['Content-Type: application/x-www-form-urlencoded'];
        $found = AccessToken::read(self::decoded($this->send('POST', '/pivot/v1/token', $headers, $form)));
        if (preg_match('/\A[!-~]{1,8000}\z/', $found->access_token) !== 1) {
            throw new Unreadable('`access_token` is no token');
        }
        $this->token = $found->access_token;
        $life = min(max(0, $found->expires_in - self::MARGIN), self::LONGEST_LIFE);
        $this->tokenUntil = hrtime(true) / 1e9 + $life;

        return $this->token;
    }

    /** @param list<string> $headers */
    private function send(string $method, string $address, array $headers, ?string $data): string
    {
        $url = rtrim($this->baseUrl, '/') . $address;
        [$stream, $status, $told] = $this->open($method, $url, $headers, $data);
        $found = (string) @stream_get_contents($stream, self::LARGEST_ANSWER + 1);
        $meta = stream_get_meta_data($stream);
        fclose($stream);
        $length = $told['content-length'] ?? null;
        if ($meta['timed_out'] || ($length !== null && strlen($found) < (int) $length)) {
            throw new Unreachable('the answer did not come whole');
        }
        if (strlen($found) > self::LARGEST_ANSWER) {
            throw new Unreadable('the answer is too large');
        }
        if ($status < 200 || $status >= 300) {
            throw self::refused($status, $told, $found);
        }

        return $found;
    }

    /**
     * Opens an address; the stream of the answer's body, its status and headers.
     *
     * @param list<string> $headers
     * @return array{resource, int, array<string, string>}
     */
    private function open(string $method, string $url, array $headers, ?string $data): array
    {
        $options = [
            'method' => $method,
            'header' => [...$headers, 'Connection: close'],
            'protocol_version' => 1.1,
            'timeout' => $this->timeout,
            'ignore_errors' => true,
            'follow_location' => 0, // a token goes nowhere else
        ];
        if ($data !== null) {
            $options['content'] = $data;
        }
        $stream = @fopen($url, 'r', false, stream_context_create(['http' => $options]));
        if ($stream === false) {
            throw new Unreachable((string) parse_url($url, PHP_URL_HOST) . ' does not answer');
        }
        $status = 0;
        $told = [];
        foreach (stream_get_meta_data($stream)['wrapper_data'] ?? [] as $line) {
            if (preg_match('~\AHTTP/[0-9.]+ ([0-9]{3})~', $line, $found) === 1) {
                $status = (int) $found[1];
                $told = [];
            } elseif (str_contains($line, ':')) {
                [$name, $value] = explode(':', $line, 2);
                $told[strtolower(trim($name))] = trim($value);
            }
        }

        return [$stream, $status, $told];
    }

    /** @return array<string, mixed> */
    private static function decoded(string $raw): array
    {
        $found = json_decode($raw, true, 64);

        return is_array($found) ? $found : throw new Unreadable('the answer is no JSON object');
    }

    /** @param array<string, string> $told */
    private static function refused(int $status, array $told, string $body): Problem
    {
        $after = preg_match('/\A[0-9]{1,5}\z/', $told['retry-after'] ?? '') === 1 ? (float) $told['retry-after'] : 30.0;
        try {
            $failure = PivotFailure::read(self::decoded($body));
        } catch (Unreadable) {
            $passing = $status >= 500 || in_array($status, [408, 425, 429], true);

            return new Problem($status, null, $passing ? $after : null);
        }

        return new Problem($status, $failure, match ($failure->retry) {
            'now' => 0.0,
            'after' => $after,
            default => null,
        });
    }
}
