import Bytes
import EventLoops
import HTTP
import JSON
import Services

/// `/api/products/export` and `/api/inventory/export`: everything there is, as a file, written while it is read.
final class ExportEndpoints {
    private let products: ProductStore
    private let reader: StockReader
    private let warehouses: Warehouses
    private static let pageSize = 200
    static let stockNames = ["sku", "productId", "warehouseId", "quantity", "reserved", "available", "inTransit"]

    init(products: ProductStore, lanes: StockLanes, warehouses: Warehouses) {
        self.products = products
        reader = StockReader(lanes: lanes)
        self.warehouses = warehouses
    }

    func add(to routes: Routes) {
        routes.stream("/api/products/export", role: .read) { [unowned self] exchange, _ in
            let format = try TableFormat(exchange, ofBody: false)
            try await export(exchange, format, ProductImporter.names) { [products] skus, buffer in
                var slices = WorkSlices(exchange.loop)
                for product in try await products.find(skus).compactMap({ $0 }) {
                    ExportEndpoints.append(product.json, ProductImporter.cells(product), format, to: buffer)
                    await slices.pauseIfLong()
                }
            }
        }
        routes.stream("/api/inventory/export", role: .read) { [unowned self] exchange, _ in
            let format = try TableFormat(exchange, ofBody: false)
            let only = try await exchange.queryItem("warehouseId").asyncMap { try await self.warehouses.require($0).id }
            try await export(exchange, format, ExportEndpoints.stockNames) { [unowned self] skus, buffer in
                let stocks = try await together(skus, on: products.context.loop) { [reader] in try await reader.read($0)
                }
                var slices = WorkSlices(exchange.loop)
                for (sku, stock) in zip(skus, stocks) {
                    guard let stock else { continue }
                    append(stock, sku, only: only, format, to: buffer)
                    await slices.pauseIfLong()
                }
            }
        }
    }

    private func append(
        _ stock: ProductStock, _ sku: SKU, only: String?, _ format: TableFormat, to buffer: ByteBuffer
    ) {
        let others = stock.byWarehouse.keys.filter { warehouses.set.byID[$0] == nil }.sorted()
        for id in warehouses.set.byPriority.map(\.id) + others where only == nil || only == id {
            let levels = stock.byWarehouse[id] ?? StockLevels()
            let numbers = [levels.quantity, levels.reserved, levels.available, levels.inTransit]
            ExportEndpoints.append(
                .object(InventoryJSON.members(levels, sku: sku, productID: stock.productID, warehouse: id)),
                [.text(sku.text), .text(stock.productID), .text(id)] + numbers.map { .number($0) }, format, to: buffer)
        }
    }

    private static func append(_ json: JSONValue, _ cells: [CSV.Cell], _ format: TableFormat, to buffer: ByteBuffer) {
        switch format {
        case .csv: CSV.append(cells, to: buffer)
        case .ndjson:
            json.write(to: buffer)
            buffer.append(0x0A)
        }
    }

    private func export(
        _ exchange: Exchange, _ format: TableFormat, _ names: [String],
        _ write: ([SKU], ByteBuffer) async throws -> Void
    ) async throws {
        // What fails at once is answered; later the answer can only be cut.
        var page = try await products.names(after: nil, limit: ExportEndpoints.pageSize)
        let log = products.context.log
        exchange.beginReply(200)
        exchange.addHeader("Cache-Control", "no-store")
        let stream = exchange.beginStream(contentType: format.contentType)
        do {
            if format == .csv { stream.write { CSV.append(names.map { .text($0) }, to: $0) } }
            while !page.isEmpty, stream.isOpen {
                let rows = ByteBuffer()
                try await write(page.compactMap { SKU(code: $0) }, rows)
                stream.write(rows.view)
                await stream.writable()
                guard page.count == ExportEndpoints.pageSize else { break }
                page = try await products.names(after: page.last, limit: ExportEndpoints.pageSize)
            }
            stream.end()
        } catch {
            log.warning("an export was cut short", ["error": .string(String(describing: error))])
            stream.abort()
        }
    }
}

extension Optional {
    fileprivate func asyncMap<Value>(_ body: (Wrapped) async throws -> Value) async throws -> Value? {
        guard let self else { return nil }
        return try await body(self)
    }
}
