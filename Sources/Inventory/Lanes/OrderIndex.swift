import Redis

/// Which reservations were made for an order. Written before they are, so it may name some that were not.
enum OrderIndex {
    /// Longer than a hold may last and be remembered.
    private static let keptMs = 38 * 86_400_000

    static func announce(
        _ order: String, _ suffix: String, _ sku: SKU?, _ keys: StockKeys, in commands: CommitCommands
    ) {
        let key = keys.order(order)
        commands.writer.command(3)
        commands.writer.argument("SADD" as StaticString)
        commands.writer.argument(key)
        commands.writer.argument(StockID(sku: sku, suffix: suffix).description)
        commands.end()
        commands.writer.command(3)
        commands.writer.argument("PEXPIRE" as StaticString)
        commands.writer.argument(key)
        commands.writer.argument(decimal: keptMs)
        commands.end()
    }

    /// The same for a reservation over several SKUs.
    static func commands(_ order: String, _ suffix: String, _ keys: StockKeys) -> [[String]] {
        let key = keys.order(order)
        return [
            ["SADD", key, StockID(sku: nil, suffix: suffix).description], ["PEXPIRE", key, String(keptMs)],
        ]
    }
}
