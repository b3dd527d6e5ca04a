import Redis

/// The service's script texts, joined from the files in `lua/inventory`.
enum InventoryScripts {
    static let commit = join("commit", operations + [PackageResources.commit_lua])
    /// The same for what only gives back, which goes on when Redis has no memory left.
    static let drain = draining("drain", commit)
    static let order = join("order", operations + [PackageResources.order_lua])
    static let orderDrain = draining("order_drain", order)

    static let orderStep = join("order_step", [PackageResources.order_step_lua])
    /// The same for steps that only give back.
    static let orderStepDrain = draining("order_step_drain", orderStep)

    static let orderAnnounce = join("order_announce", [PackageResources.order_announce_lua])
    static let due = join("due", [PackageResources.due_lua])
    static let dueFirst = join("due_first", [PackageResources.due_first_lua])

    static let warehouse = join("warehouse", [PackageResources.warehouse_lua])
    static let publish = join("publish", [PackageResources.publish_lua])
    static let alert = join("alert", [PackageResources.alert_lua])
    static let books = join("books", [PackageResources.books_lua])
    static let product = join("product", [PackageResources.product_lua])

    static let bulk = join("bulk", operations + [PackageResources.bulk_lua])

    static let bulkStep = join("bulk_step", [PackageResources.bulk_step_lua])

    static let all = [
        commit, drain, order, orderDrain, orderStep, orderStepDrain, orderAnnounce, due, dueFirst, warehouse, product,
        publish,
        alert, books, bulk, bulkStep,
    ]

    private static let operations = [
        PackageResources.stock_lua, PackageResources.levels_lua, PackageResources.holds_lua,
        PackageResources.lines_lua, PackageResources.movements_lua, PackageResources.finish_lua,
    ]

    private static func draining(_ name: String, _ script: Script) -> Script {
        Script(
            name: name, source: Array("#!lua flags=allow-oom\n".utf8) + script.source.dropFirst("#!lua\n".utf8.count))
    }

    /// The last file's first line goes first: it says how Redis is to run the script (`#!lua`).
    static func join(_ name: String, _ parts: [[UInt8]]) -> Script {
        let last = parts.last!
        var text: [UInt8] = []
        var body = last[...]
        if last.starts(with: Array("#!".utf8)), let end = last.firstIndex(of: 0x0A) {
            text = Array(last[...end])
            body = last[(end + 1)...]
        }
        text += Array((parts.dropLast() + [Array(body)]).joined(separator: [0x0A]))
        return Script(name: name, source: text)
    }
}
