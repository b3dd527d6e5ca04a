import Application
import Glibc
import JobScheduling
import RateLimiting

exit(
    run(
        services: [
            RateLimitService.definition(),
            JobSchedulingService.definition(kinds: JobKindDefinition.standard(reports: JobSupplies.reports)),
        ], arguments: CommandLine.arguments
    ).rawValue)
