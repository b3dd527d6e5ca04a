import Application
import Bytes
import Inventory
import JSON
import TestSupport
import Testing

/// Replicas of the inventory in this process, on one Redis or a cluster.
final class StockServer: Sendable {
    let servers: [TestServer]
    let redis: RedisServer

    var prefix: String { servers[0].prefix }

    init(
        _ redis: RedisServer? = nil, replicas: Int = 1, loops: Int = 1, prefix: String? = nil,
        settings: [String: String] = [:], url: String? = nil
    ) throws {
        let redis = try redis ?? RedisServer.shared
        self.redis = redis
        let prefix = prefix ?? redis.prefix()
        servers = try (0..<replicas).map { _ in
            try TestServer(redis: redis, prefix: prefix, loops: loops, services: [InventoryService.definition()]) {
                $0.serviceSettings = settings
                if let url { $0.redisURL = url }
            }
        }
    }

    /// Replicas on a cluster.
    convenience init(_ cluster: RedisCluster, replicas: Int = 1, prefix: String? = nil) throws {
        try self.init(cluster.masters[0], replicas: replicas, prefix: prefix, url: cluster.url)
    }

    // MARK: Requests

    struct Request {
        var method: String
        var path: String
        var body: String?
        var headers: [(String, String)] = []
    }

    func send(
        _ method: String, _ path: String, _ body: String? = nil, headers: [(String, String)] = []
    ) throws -> HTTPAnswer {
        try servers[0].request(method, path, headers: headers, body: body)
    }

    /// Sends every request on a connection of its own, in turn to each replica, before any answer is read.
    func atOnce(_ requests: [Request]) throws -> [HTTPAnswer] {
        let connections = try requests.indices.map { try servers[$0 % servers.count].connect() }
        for (request, connection) in zip(requests, connections) {
            try connection.send([
                HTTPConnection.encode(request.method, request.path, headers: request.headers, body: request.body)
            ])
        }
        return try connections.map { try $0.receive() }
    }

    /// The same request many times at once.
    func atOnce(_ count: Int, _ request: Request) throws -> [HTTPAnswer] {
        try atOnce(Array(repeating: request, count: count))
    }

    // MARK: Short ways

    /// Makes a product; its id.
    @discardableResult
    func product(_ sku: String, _ more: String = "") throws -> String {
        let answer = try send("POST", "/api/products", #"{"name":"A thing","sku":"\#(sku)"\#(more)}"#)
        guard answer.status == 201, let id = answer.json?["id"]?.text else {
            throw SetUpFailure("no product: \(answer.status) \(answer.text)")
        }
        return id
    }

    func set(_ sku: String, _ quantity: Int, warehouse: String = "warehouse-1") throws {
        let body = #"{"warehouseId":"\#(warehouse)","type":"set","quantity":\#(quantity)}"#
        let answer = try send("POST", "/api/inventory/\(sku)/adjust", body)
        guard answer.status == 200 else { throw SetUpFailure("no stock: \(answer.status) \(answer.text)") }
    }

    static func reservation(_ sku: String, _ quantity: Int, _ more: String = "") -> Request {
        let body = #"{"productId":"\#(sku)","warehouseId":"warehouse-1","quantity":\#(quantity)\#(more)}"#
        return Request(method: "POST", path: "/api/reservations", body: body)
    }

    func reserve(_ sku: String, _ quantity: Int, _ more: String = "") throws -> HTTPAnswer {
        try atOnce([StockServer.reservation(sku, quantity, more)])[0]
    }

    /// The id of a hold that must come about.
    func hold(_ sku: String, _ quantity: Int, _ more: String = "") throws -> String {
        let answer = try reserve(sku, quantity, more)
        guard answer.status == 201, let id = answer.json?["id"]?.text else {
            throw SetUpFailure("no hold: \(answer.status) \(answer.text)")
        }
        return id
    }

    /// quantity, reserved, available.
    func levels(_ sku: String, warehouse: String = "warehouse-1") throws -> [Int] {
        let stock = try send("GET", "/api/inventory/\(sku)?warehouseId=\(warehouse)").json
        return ["quantity", "reserved", "available"].map { stock?[$0]?.number ?? -1 }
    }

    func command(_ words: String...) throws -> String {
        try RESPConnection(.unix(path: redis.socketPath)).command(words).text
    }
}

extension JSONValue {
    var text: String? { if case .string(let text) = self { text } else { nil } }
    var number: Int? { if case .int(let number) = self { number } else { nil } }
    var elements: [JSONValue] { if case .array(let elements) = self { elements } else { [] } }
}
