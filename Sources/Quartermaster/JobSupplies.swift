import JobScheduling
import RateLimiting

/// What other services give to kinds of jobs. Services do not import each other; they meet here.
enum JobSupplies {
    static let reports = [ReportSource("rate-limits") { try await RateLimitService.ruleFigures($0) }]
}
