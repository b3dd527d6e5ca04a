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
        reservations = ReservationEndpoints(lanes: lanes, catalogue: catalogue, warehouses: warehouses)
    }

    public func addRoutes(to routes: Routes) {
        reservations.add(to: routes)
    }

    public func start() async throws {
        lanes.start()
        if context.isFirstLoop {
            let upkeep = StockUpkeep(lanes: lanes) { _ in }
            self.upkeep = upkeep
            upkeep.start()
        }
    }

    public func stop() async {
        upkeep?.stop()
        lanes.stop()
    }
}
