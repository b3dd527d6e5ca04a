import Application
import Glibc
import Inventory
import JobScheduling
import RateLimiting

exit(
    run(
        services: [
            RateLimitService.definition(),
            JobSchedulingService.definition(kinds: JobKindDefinition.standard(reports: JobSupplies.reports)),
            InventoryService.definition(onEvent: StockWebhook.tell),
        ], arguments: CommandLine.arguments
    ).rawValue)
