import Services

/// The keys of the inventory. All of a SKU have its tag and lie in one slot; `lua/README.md` has the table.
struct StockKeys: Sendable {
    let prefix: String

    /// Counters, hash.
    func stock(_ sku: SKU) -> String { key("stock", sku) }
    /// Metadata and thresholds, hash.
    func product(_ sku: SKU) -> String { key("product", sku) }
    /// Holds by when they end, sorted set of suffixes.
    func expiry(_ sku: SKU) -> String { key("expiry", sku) }
    /// Every change, stream.
    func ledger(_ sku: SKU) -> String { key("ledger", sku) }
    /// Ids of the ledger's checkpoints, list, oldest first.
    func checkpoints(_ sku: SKU) -> String { key("checkpoints", sku) }
    /// Transfers that have not ended, set.
    func openTransfers(_ sku: SKU) -> String { key("transfers", sku) }
    /// What durability is asked about, string.
    private func durable(_ sku: SKU) -> String { key("durable", sku) }
    /// A hold that is to be safe. Its suffix is its own, so it is there only if it was made.
    func durable(_ sku: SKU, _ suffix: String) -> DurableEffect {
        DurableEffect(
            marker: durable(sku), never: whole(sku),
            proof: .init(
                key: reservation(sku, suffix), field: "status", besides: [Hold.Status.void.rawValue]))
    }
    /// A reservation over several SKUs that is to be safe: what is written in each slot.
    func durable(_ skus: [SKU], _ suffix: String, isCluster: Bool) -> [DurableEffect] {
        let order = orderReservation(suffix)
        // One Redis has all of it as soon as it has any.
        if !isCluster {
            let proof = DurableEffect.Proof(key: order, field: "skus")
            return [DurableEffect(marker: durable(skus[0]), never: whole(skus[0]), proof: proof)]
        }
        let unmade = OrderRecord.State.allCases.filter { !$0.isThere }.map(\.rawValue)
        let record = DurableEffect(
            marker: order + ":durable", never: order + ":whole",
            proof: .init(key: order, field: "state", besides: Set(unmade)))
        return [record] + skus.map { durable($0, suffix) }
    }
    /// The guard of scripts: never there, so that they act on the whole of a SKU or, while its slot is moved, not at all.
    func whole(_ sku: SKU) -> String { key("whole", sku) }
    /// What is to be told beyond the slot, list.
    func outbox(_ sku: SKU) -> String { key("outbox", sku) }
    func reservation(_ sku: SKU, _ suffix: String) -> String { "\(prefix)reservation:{\(sku.code)}:\(suffix)" }
    func transfer(_ sku: SKU, _ suffix: String) -> String { "\(prefix)transfer:{\(sku.code)}:\(suffix)" }
    func alert(_ sku: SKU, warehouse: String) -> String { "\(prefix)alert:{\(sku.code)}:\(warehouse)" }

    /// Which SKU has a product's id, string. Written before the product.
    func productID(_ id: String) -> String { "\(prefix)product-id:{\(id)}" }
    /// Every SKU there may be, sorted set of names with score 0. Written before the product.
    var products: String { prefix + "products" }
    /// Warehouses by id, hash of JSON; `revision` beside them.
    var warehouses: String { prefix + "warehouses" }
    /// Told with each change of a warehouse.
    var warehouseChannel: String { prefix + "warehouses:changed" }
    /// Transfers by when they were made, sorted set of ids. Written before them, so it may name too many.
    var transfers: String { prefix + "transfers" }
    /// The reservations that were made for an order, set of ids. Written before them, so it may name too many.
    func order(_ id: String) -> String { "\(prefix)order-reservations:{\(KeyText.escaped(id))}" }
    /// A reservation over several SKUs, hash.
    func orderReservation(_ suffix: String) -> String { "\(prefix)order:{\(suffix)}" }
    /// The guard of a set of what is due.
    func guardOf(_ due: String) -> String { due + ":whole" }
    /// On a cluster: reservations over several SKUs that may have to be finished, by when; and those that somebody is at.
    func orderDue(_ suffix: String) -> String { orderDue(part: StockKeys.part(suffix)) }
    func orderDue(part: Int) -> String { "\(prefix)order-due:{\(part)}" }
    func ordersTaken(part: Int) -> String { "\(prefix)order-due:{\(part)}:taken" }
    /// SKUs with something due (a hold's end, events to tell) by when, sorted set; one of `dueParts`.
    func due(_ sku: SKU) -> String { due(part: StockKeys.part(sku.code)) }
    func due(part: Int) -> String { "\(prefix)stock-due:{\(part)}" }
    /// Those that somebody is at, by when it is another one's turn.
    func duringSweep(part: Int) -> String { "\(prefix)stock-due:{\(part)}:taken" }

    /// What has happened, stream; and in its slot, ids of events that were told, alerts by their last change, and those that
    /// nobody has seen by when they are told again.
    var events: String { prefix + "{stock-events}" }
    var told: String { events + ":told" }
    var alerts: String { events + ":alerts" }
    var escalations: String { events + ":escalations" }

    /// Which body an Idempotency-Key was first used with, string.
    func claim(_ key: IdempotencyKey) -> String { "\(prefix)idem:{\(key.name)}" }

    /// How far a bulk is, hash; its rows and what they changed, hashes by chunk; its errors, list.
    func bulk(_ id: String) -> String { "\(prefix)bulk:{\(id)}" }
    func bulkRows(_ id: String) -> String { "\(prefix)bulk:{\(id)}:rows" }
    func bulkChanges(_ id: String) -> String { "\(prefix)bulk:{\(id)}:changes" }
    func bulkErrors(_ id: String) -> String { "\(prefix)bulk:{\(id)}:errors" }
    /// Bulks with something to be done by when, sorted set; those that somebody is at, likewise.
    var bulkDue: String { prefix + "bulk-due:{bulks}" }
    var bulkTaken: String { prefix + "bulk-due:{bulks}:taken" }

    static let dueParts = 16

    static func part(_ text: String) -> Int {
        var hash: UInt32 = 2_166_136_261
        for byte in text.utf8 { hash = (hash ^ UInt32(byte)) &* 16_777_619 }
        return Int(hash >> 8) % dueParts
    }

    private func key(_ word: String, _ sku: SKU) -> String { "\(prefix)\(word):{\(sku.code)}" }
}
