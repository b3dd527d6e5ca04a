import Bytes
import EventLoops
import JSON
import Redis
import Services

/// The list of warehouses in Redis.
final class WarehouseStore {
    let context: ServiceContext
    let keys: StockKeys
    static let budgetUs: Int64 = 2_000_000

    init(context: ServiceContext, keys: StockKeys) {
        self.context = context
        self.keys = keys
    }

    /// All warehouses; the standard ones are made first where there never were any.
    func read() async throws -> WarehouseSet {
        var set = try await readSet()
        if set.revision == 0 {
            let arguments = Warehouse.standard.flatMap { [$0.id, $0.json.text()] }
            _ = try await run(["defaults", keys.warehouseChannel] + arguments)
            set = try await readSet()
        }
        return set
    }

    private func readSet() async throws -> WarehouseSet {
        let beginUs = MonotonicClock.nowUs()
        let reply = try await context.redis.send(
            ["HGETALL", keys.warehouses], key: keys.warehouses, budgetUs: WarehouseStore.budgetUs)
        let words = reply.strings ?? []
        var revision = 0
        var warehouses: [Warehouse] = []
        var closing: [String] = []
        for i in stride(from: 0, to: words.count - 1, by: 2) {
            if words[i] == "revision" {
                revision = Int(words[i + 1]) ?? 0
            } else if let id = words[i].split(separator: ":", maxSplits: 1).last, id.count < words[i].count {
                closing.append(String(id))
            } else {
                warehouses.append(try Warehouse(words[i + 1].withByteView { try JSONValue(parsing: $0) }))
            }
        }
        return WarehouseSet(
            warehouses, closing: closing, revision: revision, readUs: beginUs...max(beginUs, MonotonicClock.nowUs()))
    }

    func revision() async throws -> Int {
        let reply = try await context.redis.send(
            ["HGET", keys.warehouses, "revision"], key: keys.warehouses, budgetUs: WarehouseStore.budgetUs)
        return reply.int ?? 0
    }

    /// - Throws: `conflict` where one of this id is there.
    func create(_ warehouse: Warehouse) async throws {
        let reply = try await run(["create", keys.warehouseChannel, warehouse.id, warehouse.json.text()])
        if reply.string == "exists" { throw Problem(.conflict, "there is a warehouse \(warehouse.id) already") }
    }

    /// - Parameter version: the one it must have now.
    func update(_ warehouse: Warehouse, version: Int?) async throws {
        try check(
            try await run([
                "update", keys.warehouseChannel, warehouse.id, warehouse.json.text(), version.map { String($0) } ?? "",
            ]), warehouse.id)
    }

    /// Hides it; `drop` or `open` is to follow.
    func close(_ id: String, version: Int?) async throws {
        try check(
            try await run(["close", keys.warehouseChannel, id, "", version.map { String($0) } ?? ""]), id)
    }

    /// Nobody thinks it open any more: it is gone for good.
    func drop(_ id: String) async throws { _ = try await run(["drop", keys.warehouseChannel, id]) }

    /// It is there again.
    func open(_ id: String) async throws { _ = try await run(["open", keys.warehouseChannel, id]) }

    private func check(_ reply: RedisReply, _ id: String) throws {
        if reply.string == "missing" { throw Problem(.notFound, "there is no warehouse \(id)") }
        if let version = reply.strings?.last, reply.string == nil {
            throw Problem(.preconditionFailed, "it has changed: its version is \(version) now")
        }
    }

    private func run(_ arguments: [String]) async throws -> RedisReply {
        try await context.redis.run(
            InventoryScripts.warehouse, keys: [keys.warehouses], arguments: arguments,
            budgetUs: WarehouseStore.budgetUs)
    }
}
