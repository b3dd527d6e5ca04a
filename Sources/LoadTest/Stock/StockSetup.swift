import Bytes
import JSON

/// Makes the products that reservations are made of, by the service's own routes. What is there already stays.
enum StockSetup {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    static let warehouse = "warehouse-1"
    /// More than any run reserves.
    static let quantity = 1_000_000_000

    /// Makes one warehouse and `keys` products with stock in it. Returns what was done, one line each.
    static func apply(to target: Target, token: String?, keys: Int) throws -> [String] {
        let client = BlockingClient(target: target, token: token)
        try make(client, "/api/warehouses", #"{"id":"\#(warehouse)","name":"Bench"}"#)
        // With so much in stock a smaller maximum would be an alert.
        let most = quantity * 10
        for key in 0..<keys {
            let sku = Workload.identifier(key)
            try make(client, "/api/products", #"{"sku":"\#(sku)","name":"Bench","maxStockLevel":\#(most)}"#)
            let path = "/api/inventory/\(sku)/adjust"
            let answer = try client.call(
                "POST", path, json: #"{"warehouseId":"\#(warehouse)","type":"set","quantity":\#(quantity)}"#)
            guard answer.status == 200 else { throw failure(path, answer) }
        }
        return ["\(keys) products with \(quantity) each in \(warehouse)"]
    }

    /// Conflict: it is there already.
    private static func make(_ client: BlockingClient, _ path: String, _ json: String) throws {
        let answer = try client.call("POST", path, json: json)
        guard answer.status == 201 || answer.status == 409 else { throw failure(path, answer) }
    }

    private static func failure(_ path: String, _ answer: BlockingClient.Answer) -> Failure {
        Failure(description: "POST \(path): the server answered \(answer.status): \(answer.body)")
    }
}
