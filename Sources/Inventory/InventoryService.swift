import EventLoops
import HTTP
import JSON
import Redis
import Services

/// The inventory: products, stock in warehouses, and reservations that are never more than there is.
public final class InventoryService: Service {
    private let context: ServiceContext
    private let lanes: StockLanes
    private let catalogue: Catalogue
    private let warehouses = Warehouses()
    private let reservations: ReservationEndpoints
    private let products: ProductEndpoints
    private let places: WarehouseEndpoints
    private let stock: StockEndpoints
    private let bulks: BulkEndpoints
    private let bulkRunner: BulkRunner
    private let exports: ExportEndpoints
    private let imports: ImportEndpoints
    private let transfers: TransferEndpoints
    private let counts: CountEndpoints
    private let alerts: AlertEndpoints
    private let events: StockEventsEndpoint
    private let outbox: StockOutbox
    private let ledger: LedgerEndpoints
    private let reconcile: ReconcileEndpoint
    private let reorder: ReorderEndpoints
    private let warehouseStore: WarehouseStore
    private var feed: WarehouseFeed?
    private var upkeep: StockUpkeep?

    /// The service as the executable lists it.
    /// - Parameter onEvent: hears of alerts and filled backorders, each at least once; an event that it throws at comes again.
    public static func definition(
        onEvent: (@Sendable (StockEvent, ServiceContext) async throws -> Void)? = nil
    ) -> ServiceDefinition {
        let directory = LaneDirectory()
        return ServiceDefinition(name: "inventory", port: 3008, scripts: InventoryScripts.all) { context in
            InventoryService(context: context, directory: directory, onEvent: onEvent)
        }
    }

    public convenience init(context: ServiceContext) {
        self.init(context: context, directory: LaneDirectory(), onEvent: nil)
    }

    private init(
        context: ServiceContext, directory: LaneDirectory,
        onEvent: (@Sendable (StockEvent, ServiceContext) async throws -> Void)?
    ) {
        self.context = context
        lanes = StockLanes(context: context, directory: directory)
        catalogue = Catalogue(context: context, keys: lanes.keys)
        warehouseStore = WarehouseStore(context: context, keys: lanes.keys)
        let productStore = ProductStore(context: context, keys: lanes.keys)
        reservations = ReservationEndpoints(lanes: lanes, catalogue: catalogue, warehouses: warehouses)
        products = ProductEndpoints(store: productStore, catalogue: catalogue)
        places = WarehouseEndpoints(store: warehouseStore, warehouses: warehouses, products: productStore)
        stock = StockEndpoints(lanes: lanes, catalogue: catalogue, warehouses: warehouses, products: productStore)
        let adjuster = BulkAdjuster(lanes: lanes, catalogue: catalogue, warehouses: warehouses)
        let bulkStore = BulkStore(context: context, keys: lanes.keys)
        bulkRunner = BulkRunner(store: bulkStore, adjuster: adjuster)
        bulks = BulkEndpoints(adjuster: adjuster, store: bulkStore, runner: bulkRunner)
        exports = ExportEndpoints(products: productStore, lanes: lanes, warehouses: warehouses)
        imports = ImportEndpoints(products: productStore, adjuster: adjuster)
        transfers = TransferEndpoints(lanes: lanes, catalogue: catalogue, warehouses: warehouses)
        counts = CountEndpoints(lanes: lanes, catalogue: catalogue, warehouses: warehouses)
        alerts = AlertEndpoints(lanes: lanes, products: productStore, warehouses: warehouses)
        ledger = LedgerEndpoints(lanes: lanes, catalogue: catalogue, products: productStore)
        reconcile = ReconcileEndpoint(
            lanes: lanes, catalogue: catalogue, products: productStore, warehouses: warehouses)
        reorder = ReorderEndpoints(lanes: lanes, catalogue: catalogue, products: productStore)
        events = StockEventsEndpoint(lanes: lanes, alerts: alerts)
        let escalateAfterMs = context.process.settings["stock-escalate"].flatMap { Int($0) } ?? 3_600_000
        outbox = StockOutbox(lanes: lanes, escalateAfterMs: escalateAfterMs, onEvent: onEvent)
        productStore.onChanged = { [lanes] sku in
            // Should it fail: the next change of its stock looks, too.
            _ = try? await lanes.perform(.object([.init("op", .string("look"))]), on: sku)
        }
        lanes.onOutbox = { [outbox] in outbox.drainSoon($0) }
        warehouses.reread = { [warehouseStore] in try await warehouseStore.read() }
    }

    public func addRoutes(to routes: Routes) {
        products.add(to: routes)
        places.add(to: routes)
        stock.add(to: routes)
        ledger.add(to: routes)
        reconcile.add(to: routes)
        reorder.add(to: routes)
        alerts.add(to: routes)
        events.add(to: routes)
        bulks.add(to: routes)
        exports.add(to: routes)
        imports.add(to: routes)
        transfers.add(to: routes)
        counts.add(to: routes)
        reservations.add(to: routes)
    }

    public func start() async throws {
        lanes.start()
        context.process.broadcasts.subscribe(WarehouseFeed.snapshots) { [warehouses] in warehouses.replace($0) }
        warehouses.replace(try await warehouseStore.read())
        if context.isFirstLoop {
            let feed = WarehouseFeed(store: warehouseStore, products: products.store)
            self.feed = feed
            try await feed.start()
            let upkeep = StockUpkeep(
                lanes: lanes, outbox: outbox,
                ledgerDays: context.process.settings["ledger-days"].flatMap { Int($0) } ?? 400)
            self.upkeep = upkeep
            upkeep.start()
            bulkRunner.start()
        }
    }

    public func drain() { events.closeAll() }

    public func stop() async {
        upkeep?.stop()
        bulkRunner.stop()
        feed?.stop()
        lanes.stop()
    }
}
