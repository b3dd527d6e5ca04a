import Digests
import EventLoops
import JSON
import Services

/// Takes products from a file: those that are not there are made, others changed where the file says something else.
final class ProductImporter {
    enum Outcome { case created, updated, unchanged, failed(Problem) }

    /// The columns of a file in CSV, in the order of an export.
    static let names = [
        "id", "sku", "name", "description", "category", "minStockLevel", "maxStockLevel", "critical", "emergency",
        "leadTimeDays", "safetyStock", "unitsPerOrder",
    ]
    static let columns = TableReader.Columns(
        numbers: [
            "minStockLevel", "maxStockLevel", "critical", "emergency", "leadTimeDays", "safetyStock", "unitsPerOrder",
        ], texts: ["sku", "name", "description", "category"], ignored: ["id", "version", "createdAt", "updatedAt"])
    private static let mostTries = 4

    private let store: ProductStore

    init(store: ProductStore) { self.store = store }

    /// A product as a row of CSV. Thresholds of single warehouses have no column.
    static func cells(_ product: Product) -> [CSV.Cell] {
        [
            .text(product.id), .text(product.sku.text), .text(product.name), .init(product.description),
            .init(product.category), .number(product.minStockLevel), .number(product.maxStockLevel),
            .init(product.thresholds.critical), .init(product.thresholds.emergency), .init(product.leadTimeDays),
            .init(product.safetyStock), .init(product.unitsPerOrder),
        ]
    }

    /// Takes rows: those of one SKU in their order, SKUs beside each other.
    func take(_ rows: [JSONValue]) async -> [Outcome] {
        var order: [SKU?] = []
        var groups: [SKU?: [Int]] = [:]
        for (i, row) in rows.enumerated() {
            let sku: SKU? = if case .string(let text)? = row["sku"] { SKU(text) } else { nil }
            if groups[sku] == nil { order.append(sku) }
            groups[sku, default: []].append(i)
        }
        let done = await together(order.map { groups[$0] ?? [] }, on: store.context.loop) { [self] places in
            var outcomes: [(Int, Outcome)] = []
            for i in places { outcomes.append((i, await takeOne(rows[i]))) }
            return outcomes
        }
        return done.joined().sorted { $0.0 < $1.0 }.map(\.1)
    }

    private func takeOne(_ row: JSONValue) async -> Outcome {
        do { return try await take(row) } catch {
            return .failed(ProblemReply.problem(for: error, log: store.context.log))
        }
    }

    private func take(_ row: JSONValue) async throws -> Outcome {
        let row = ProductImporter.nested(row)
        for attempt in 1... {
            do {
                guard case .string(let name)? = row["sku"], let sku = SKU(name), let known = try await store.find(sku)
                else {
                    let id = ProductEndpoints.uuid(RandomID.hex(bytes: 16))
                    _ = try await store.create(Product(row, id: id))
                    return .created
                }
                // What a row does not say stays as it is.
                let product = try Product(ProductImporter.merged(known.json, row), id: known.id, known: known)
                if product.fields == known.fields { return .unchanged }
                _ = try await store.update(product, version: known.version)
                return .updated
            } catch let problem as Problem {
                // Somebody else made or changed it in between.
                let isPassing = problem.kind == .conflict || problem.kind == .preconditionFailed
                guard isPassing, attempt < ProductImporter.mostTries else { throw problem }
            }
        }
        return .unchanged
    }

    /// The columns `critical` and `emergency` as the members they are in JSON.
    private static func nested(_ row: JSONValue) -> JSONValue {
        guard case .object(let members) = row else { return row }
        let flat = members.filter { $0.key == "critical" || $0.key == "emergency" }
        guard !flat.isEmpty else { return row }
        return .object(
            members.filter { $0.key != "critical" && $0.key != "emergency" } + [.init("thresholds", .object(flat))])
    }

    private static func merged(_ known: JSONValue, _ new: JSONValue) -> JSONValue {
        guard case .object(let old) = known, case .object(let members) = new else { return new }
        return .object(
            old.filter { member in !members.contains { $0.key == member.key } }
                + members.map { member in
                    .init(member.key, known[member.key].map { merged($0, member.value) } ?? member.value)
                })
    }
}
