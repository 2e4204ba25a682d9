<?php

// The address that is pushed to: `php -S 127.0.0.1:8090 push.php`, or any web server with PHP.
// Beside it runs `php work.php`, which tells the changes. Settings: see README.

declare(strict_types=1);

namespace Toodego\Example;

use Toodego\Pivot\Acknowledgement;
use Toodego\Pivot\ErasureReceipt;
use Toodego\Pivot\Unproven;
use Toodego\Pivot\Unreadable;
use Toodego\Pivot\Webhook;

require_once __DIR__ . '/Desk.php';

ini_set('display_errors', '0');

/**
 * The answer to a call: its status, and its body or null.
 *
 * @param array<string, string> $headers
 * @return array{int, array<string, mixed>|null}
 */
function answer(string $method, array $headers, string $body): array
{
    $secrets = explode(' ', Desk::setting('PIVOT_SIGNING_SECRETS'));
    try {
        $id = Webhook::prove($secrets, $headers, $body);
        if ($method === 'GET') {
            return [200, null]; // a ping
        }
        $message = Webhook::message($body);
        if ($message->id !== $id) {
            throw new Refused('`id` is not the one that is signed');
        }
        $taken = Desk::ofEnvironment()->take($message);
        $receipt = $taken->erasure === null ? null : new ErasureReceipt($taken->erasure);

        return [200, (new Acknowledgement(reference: $taken->number, erasure: $receipt))->written()];
    } catch (Unproven $error) {
        return [401, ['detail' => $error->getMessage()]];
    } catch (Refused | Unreadable $error) {
        return [422, ['detail' => $error->getMessage(), 'retry' => 'never']];
    } catch (Later $error) {
        return [503, ['detail' => $error->getMessage(), 'retry' => 'after']];
    } catch (\Throwable $error) {
        error_log($error::class); // its text may hold what a citizen wrote

        return [503, ['retry' => 'after']];
    }
}

$headers = [];
foreach (['webhook-id', 'webhook-timestamp', 'webhook-signature'] as $name) {
    $headers[$name] = (string) ($_SERVER['HTTP_' . strtoupper(strtr($name, '-', '_'))] ?? '');
}
[$status, $told] = answer($_SERVER['REQUEST_METHOD'] ?? 'GET', $headers, (string) file_get_contents('php://input'));
http_response_code($status);
if ($status === 503) {
    header('Retry-After: 5');
}
if ($told !== null) {
    header('Content-Type: application/json');
    echo json_encode((object) $told, JSON_UNESCAPED_UNICODE);
}
