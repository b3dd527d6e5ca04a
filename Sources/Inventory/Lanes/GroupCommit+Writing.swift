import Bytes

/// What is written, command by command.
extension GroupCommit {
    func write(_ hold: Hold, _ sku: SKU) {
        let writer = commands.writer
        let pairs = 4 + (hold.orderID != nil ? 1 : 0) + (hold.priority > 0 ? 1 : 0) + (hold.request != nil ? 1 : 0)
        writer.command(2 + 2 * pairs)
        writer.argument("HSET" as StaticString)
        commands.key(keyStarts.reservation, sku, hold.suffix)
        writer.argument("status" as StaticString)
        writer.argument("active" as StaticString)
        writer.argument("allocation" as StaticString)
        commands.part(hold.parts[0].warehouse, hold.parts[0].quantity)
        writer.argument("created" as StaticString)
        writer.argument(decimal: hold.createdMs)
        writer.argument("expires" as StaticString)
        writer.argument(decimal: hold.expiresMs)
        if let order = hold.orderID {
            writer.argument("order" as StaticString)
            writer.argument(order)
        }
        if hold.priority > 0 {
            writer.argument("priority" as StaticString)
            writer.argument(decimal: hold.priority)
        }
        if let request = hold.request {
            writer.argument("request" as StaticString)
            writer.argument(request)
        }
        commands.end()
    }

    /// One entry, with the fields of every other one: entries with the same fields share their names.
    func tellLedger(
        _ type: StaticString, _ subject: Int, _ at: Int, change: (quantity: Int, reserved: Int), _ suffix: String,
        _ order: String?, _ reason: String?, _ actor: String, _ key: String?
    ) {
        let counters = subjects[subject].state.counters[at]
        let writer = commands.writer
        writer.command(21)
        writer.argument("XADD" as StaticString)
        commands.key(keyStarts.ledger, subjects[subject].sku)
        commands.entryID(givenNowMs)
        writer.argument("type" as StaticString)
        writer.argument(type)
        writer.argument("warehouse" as StaticString)
        writer.argument(counters.warehouse)
        writer.argument("change" as StaticString)
        commands.numbers(change.quantity, change.reserved, 0)
        writer.argument("after" as StaticString)
        commands.numbers(counters.quantity, counters.reserved, counters.inTransit)
        writer.argument("id" as StaticString)
        writer.argument(suffix)
        writer.argument("order" as StaticString)
        writer.argument(order ?? "")
        writer.argument("reason" as StaticString)
        writer.argument(reason ?? "")
        writer.argument("actor" as StaticString)
        writer.argument(actor)
        writer.argument("key" as StaticString)
        writer.argument(key ?? "")
        commands.end()
    }

    /// Writes what is said once for each SKU, and ends the transaction.
    func finish() {
        for subject in subjects where subject.isChanged {
            writeStock(subject)
            if !subject.added.isEmpty { writeExpiry(subject) }
            if !subject.ended.isEmpty { removeExpiry(subject) }
        }
        commands.add("EXEC")
    }

    private func writeStock(_ subject: Subject) {
        let writer = commands.writer
        let touched = subject.state.counters.count { $0.isTouched }
        let hasNewExpiry = subject.state.nextExpiryMs != subject.firstNextExpiryMs
        writer.command(4 + 4 * touched + (hasNewExpiry ? 2 : 0))
        writer.argument("HSET" as StaticString)
        commands.key(keyStarts.stock, subject.sku)
        writer.argument("version" as StaticString)
        writer.argument(decimal: subject.state.version)
        for counters in subject.state.counters where counters.isTouched {
            commands.field(counters.warehouse, "quantity")
            writer.argument(decimal: counters.quantity)
            commands.field(counters.warehouse, "reserved")
            writer.argument(decimal: counters.reserved)
        }
        if hasNewExpiry, let next = subject.state.nextExpiryMs {
            writer.argument("nextExpiry" as StaticString)
            writer.argument(decimal: next)
            announce(subject.sku, next)
        }
        commands.end()
    }

    /// Tells the sweepers when something of a SKU is due.
    private func announce(_ sku: SKU, _ ms: Int) {
        ahead.writer.command(5)
        announcedMs = min(announcedMs, ms)
        ahead.writer.argument("ZADD" as StaticString)
        ahead.writer.argument(keys.due(sku))
        ahead.writer.argument("LT" as StaticString)
        ahead.writer.argument(decimal: ms)
        ahead.writer.argument(sku.code)
        ahead.end()
    }

    private func writeExpiry(_ subject: Subject) {
        let writer = commands.writer
        writer.command(2 + 2 * subject.added.count)
        writer.argument("ZADD" as StaticString)
        commands.key(keyStarts.expiry, subject.sku)
        for (suffix, expiresMs) in subject.added {
            writer.argument(decimal: expiresMs)
            writer.argument(suffix)
        }
        commands.end()
    }

    private func removeExpiry(_ subject: Subject) {
        let writer = commands.writer
        writer.command(2 + subject.ended.count)
        writer.argument("ZREM" as StaticString)
        commands.key(keyStarts.expiry, subject.sku)
        for suffix in subject.ended { writer.argument(suffix) }
        commands.end()
    }
}
