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

    /// The service as the executable lists it.
    public static func definition() -> ServiceDefinition {
        ServiceDefinition(name: "inventory", port: 3008, scripts: InventoryScripts.all) { context in
            InventoryService(context: context)
        }
    }

    public init(context: ServiceContext) {
        self.context = context
        lanes = StockLanes(context: context)
        catalogue = Catalogue(context: context, keys: lanes.keys)
    }

    public func addRoutes(to routes: Routes) {}

    public func start() async throws {}

    public func stop() async {}
}
