import Application
import Glibc
import RateLimiting

exit(run(services: [RateLimitService.definition()], arguments: CommandLine.arguments).rawValue)
