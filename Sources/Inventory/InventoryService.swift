import EventLoops
import HTTP
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
    private let warehouseStore: WarehouseStore
    private var feed: WarehouseFeed?
    private var upkeep: StockUpkeep?

    /// The service as the executable lists it.
    public static func definition() -> ServiceDefinition {
        let directory = LaneDirectory()
        return ServiceDefinition(name: "inventory", port: 3008, scripts: InventoryScripts.all) { context in
            InventoryService(context: context, directory: directory)
        }
    }

    public convenience init(context: ServiceContext) { self.init(context: context, directory: LaneDirectory()) }

    private init(context: ServiceContext, directory: LaneDirectory) {
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
        bulks = BulkEndpoints(adjuster: adjuster, store: bulkStore)
        exports = ExportEndpoints(products: productStore, lanes: lanes, warehouses: warehouses)
        imports = ImportEndpoints(products: productStore, adjuster: adjuster)
        bulkRunner = BulkRunner(store: bulkStore, adjuster: adjuster)
        transfers = TransferEndpoints(lanes: lanes, catalogue: catalogue, warehouses: warehouses)
        counts = CountEndpoints(lanes: lanes, catalogue: catalogue, warehouses: warehouses)
        warehouses.reread = { [warehouseStore] in try await warehouseStore.read() }
    }

    public func addRoutes(to routes: Routes) {
        products.add(to: routes)
        places.add(to: routes)
        stock.add(to: routes)
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
            let feed = WarehouseFeed(store: warehouseStore)
            self.feed = feed
            try await feed.start()
            let upkeep = StockUpkeep(lanes: lanes) { _ in }
            self.upkeep = upkeep
            upkeep.start()
            bulkRunner.start()
        }
    }

    public func stop() async {
        upkeep?.stop()
        bulkRunner.stop()
        feed?.stop()
        lanes.stop()
    }
}
