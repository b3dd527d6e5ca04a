import JSON

/// One change of a product's stock in one warehouse, or a checkpoint, which has all counters.
struct LedgerEntry: Sendable, Equatable {
    /// `<ms since 1970>-<number>`.
    var id: String
    /// `reserve`, `resize`, `confirm`, `cancel`, `expire`, `adjust`, `count`, `write-off`, `transfer`, `ship`, `receive`,
    /// `transfer-cancel`, `rollback`, `correction`, `checkpoint`.
    var type: String
    var warehouse: String
    var change = StockLevels()
    var after = StockLevels()
    /// Of a checkpoint: the counters of all warehouses.
    var checkpoint: [String: StockLevels] = [:]
    /// The hold, adjustment or transfer it is about: its 20 digits.
    var reference: String
    var order: String
    var reason: String
    var actor: String
    var key: String
    /// Of an adjustment: what was found to be there was set, instead of added to or taken from.
    var isSet: Bool

    var atMs: Int { Int(id.prefix { $0 != "-" }) ?? 0 }

    /// nil for what is no entry of ours.
    init?(id: String, _ words: [String]) {
        var fields: [String: String] = [:]
        for i in stride(from: 0, to: words.count - 1, by: 2) { fields[words[i]] = words[i + 1] }
        guard let type = fields["type"], let warehouse = fields["warehouse"] else { return nil }
        self.id = id
        self.type = type
        self.warehouse = warehouse
        reference = fields["id"] ?? ""
        order = fields["order"] ?? ""
        reason = fields["reason"] ?? ""
        actor = fields["actor"] ?? ""
        key = fields["key"] ?? ""
        isSet = fields["set"] != nil
        let text = fields["after"] ?? ""
        if type == "checkpoint" {
            for part in text.split(separator: " ") {
                guard let equals = part.lastIndex(of: "="),
                    let levels = StockLevels(numbers: part[part.index(after: equals)...])
                else { return nil }
                checkpoint[String(part[..<equals])] = levels
            }
        } else {
            guard let change = StockLevels(numbers: fields["change"] ?? ""), let after = StockLevels(numbers: text)
            else { return nil }
            self.change = change
            self.after = after
        }
    }

    func json(_ sku: SKU) -> JSONValue {
        var members: [JSONValue.Member] = [
            .init("id", .string(id)), .init("at", .string(HoldJSON.time(atMs).rfc3339)), .init("type", .string(type)),
        ]
        if type == "checkpoint" {
            let counters = checkpoint.sorted { $0.key < $1.key }.map { JSONValue.Member($0.key, $0.value.json) }
            members.append(.init("counters", .object(counters)))
            return .object(members)
        }
        members += [
            .init("warehouseId", .string(warehouse)), .init("change", change.json), .init("after", after.json),
            .init("reference", .string(StockID(sku: sku, suffix: reference).description)),
        ]
        for (name, text) in [("orderId", order), ("reason", reason), ("actor", actor), ("idempotencyKey", key)]
        where !text.isEmpty {
            members.append(.init(name, .string(text)))
        }
        return .object(members)
    }
}

extension StockLevels {
    /// `quantity,reserved,inTransit`.
    init?(numbers text: some StringProtocol) {
        let numbers = text.split(separator: ",").map { Int($0) }
        guard numbers.count == 3, let quantity = numbers[0], let reserved = numbers[1], let inTransit = numbers[2]
        else {
            return nil
        }
        self.init(quantity: quantity, reserved: reserved, inTransit: inTransit)
    }

    var json: JSONValue {
        .object([
            .init("quantity", .int(quantity)), .init("reserved", .int(reserved)), .init("inTransit", .int(inTransit)),
        ])
    }

    static func + (left: StockLevels, right: StockLevels) -> StockLevels {
        StockLevels(
            quantity: left.quantity + right.quantity, reserved: left.reserved + right.reserved,
            inTransit: left.inTransit + right.inTransit)
    }

    static func - (left: StockLevels, right: StockLevels) -> StockLevels {
        StockLevels(
            quantity: left.quantity - right.quantity, reserved: left.reserved - right.reserved,
            inTransit: left.inTransit - right.inTransit)
    }
}
