import Inventory
import JSON
import JobScheduling
import Services

/// Events of the stock for the URL of the setting `stock-webhook`: each a job of kind `http`, so it is tried again as such
/// jobs are. Services do not import each other; they meet here.
enum StockWebhook {
    /// How long an event that is told again makes no second job.
    private static let uniqueMs = 86_400_000

    @Sendable static func tell(_ event: StockEvent, _ context: ServiceContext) async throws {
        guard let url = context.process.settings["stock-webhook"] else { return }
        let config = JSONValue.object([.init("url", .string(url)), .init("body", event.json)])
        let unique = JSONValue.object([
            .init("key", .string("stock-event \(event.id)")), .init("forMs", .int(uniqueMs)),
        ])
        try await JobSchedulingService.enqueue(
            .object([
                .init("name", .string("stock-\(event.name)")), .init("type", .string("http")),
                .init("config", config), .init("unique", unique),
            ]), in: context)
    }
}
