import Glibc

/// Makes what a mixed run needs, by the services' own routes: its rules, and products of its own.
enum MixedSetup {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// Of every fourth product there is so little that some reservations must be refused.
    private static let scarce = 8
    private static let plenty = 1_000_000
    /// A rule binds everywhere within a second of its making.
    private static let bindingUs: UInt32 = 1_200_000

    static func apply(_ options: MixedOptions, run: String) throws -> RunRecord {
        let client = BlockingClient(target: options.target, token: options.token)
        _ = try RuleSetup.apply(MixedRequests.rules, by: client)
        var record = RunRecord()
        record.head = RunRecord.Head(
            run: run, prefix: options.prefix, durability: options.isReplicated ? "replicated" : "memory",
            mayLose: options.timetable.mayLose)
        record.limits = MixedRequests.limits
        record.queues = (0..<options.queues).map { "fleet-\(run)-\($0)" }
        try expect([201, 409], client, "/api/warehouses", #"{"id":"\#(RunRecord.warehouse)","name":"Fleet"}"#)
        for number in 0..<options.products {
            let product = RunRecord.Product(
                sku: "FLEET-\(run)-\(number)", initial: number % 4 == 3 ? scarce : plenty)
            try expect(
                [201], client, "/api/products",
                #"{"sku":"\#(product.sku)","name":"Fleet","minStockLevel":0,"maxStockLevel":\#(plenty * 10)}"#)
            try expect(
                [200], client, "/api/inventory/\(product.sku)/adjust",
                #"{"warehouseId":"\#(RunRecord.warehouse)","type":"set","quantity":\#(product.initial)}"#)
            record.products.append(product)
        }
        usleep(bindingUs)
        return record
    }

    private static func expect(_ statuses: [Int], _ client: BlockingClient, _ path: String, _ json: String) throws {
        let answer = try client.call("POST", path, json: json)
        guard statuses.contains(answer.status) else {
            throw Failure(description: "POST \(path): the server answered \(answer.status): \(answer.body)")
        }
    }
}
