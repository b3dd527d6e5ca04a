import EventLoops
import Services

/// Tries out what rows would make of the stock as it is, one after the other and without doing any: for an atomic bulk, all
/// of whose bad rows are told.
final class BulkTrial {
    private let adjuster: BulkAdjuster
    private let reader: StockReader
    /// What would be there after the rows so far; nothing where there is no such product.
    private var levels: [SKU: [String: StockLevels]] = [:]
    private var known: Set<SKU> = []

    init(adjuster: BulkAdjuster) {
        self.adjuster = adjuster
        reader = StockReader(lanes: adjuster.lanes)
    }

    /// - Returns: the rows that can't be done.
    func judge(_ rows: [BulkRow], _ call: BulkAdjuster.Call) async throws -> RowErrors {
        let targets = await adjuster.targets(rows, call)
        let loop = adjuster.lanes.context.loop
        let skus = Set(targets.compactMap { try? $0.get() }).subtracting(known)
        known.formUnion(skus)
        let found = try await together(Array(skus), on: loop) { [reader] sku in (sku, try await reader.read(sku)) }
        for (sku, stock) in found { levels[sku] = stock?.byWarehouse }
        var errors = RowErrors()
        var slices = WorkSlices(loop)
        for (row, target) in zip(rows, targets) {
            do throws(Problem) { try judge(row, target.get()) } catch {
                errors.add(RowError(row.index, error, row: row.adjustment.json))
            }
            await slices.pauseIfLong()
        }
        return errors
    }

    private func judge(_ row: BulkRow, _ sku: SKU) throws(Problem) {
        guard var places = levels[sku] else {
            var unknown = Catalogue.unknown(sku.text)
            unknown.field = "productId"
            throw unknown
        }
        var level = places[row.adjustment.warehouse] ?? StockLevels()
        level.quantity = try row.adjustment.after(level)
        places[row.adjustment.warehouse] = level
        levels[sku] = places
    }
}

extension Adjustment {
    /// What a quantity becomes by it, as movements.lua judges.
    fileprivate func after(_ levels: StockLevels) throws(Problem) -> Int {
        if let expected, expected != levels.quantity {
            throw Problem(.conflict, "there are \(levels.quantity), not the expected \(expected)", field: "expected")
        }
        let after =
            switch kind {
            case .add: levels.quantity + quantity
            case .subtract: levels.quantity - quantity
            case .set: quantity
            }
        guard after <= ReservationDraft.largestQuantity else {
            throw Problem(.conflict, "there would be more than can be counted", field: "quantity")
        }
        guard after >= 0, after >= min(levels.reserved, levels.quantity) else {
            throw Problem(
                .conflict, "of \(levels.quantity) there, \(levels.reserved) are reserved: fewer can't be left",
                field: "quantity")
        }
        return after
    }
}
