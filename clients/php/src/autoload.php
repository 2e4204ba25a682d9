<?php

// Loads the library, where no Composer does.

declare(strict_types=1);

foreach (['Reading', 'Errors', 'Models', 'Webhook', 'Transport', 'PivotClient'] as $name) {
    require_once __DIR__ . "/$name.php";
}
