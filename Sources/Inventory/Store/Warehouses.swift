import Services

/// The warehouses as this loop knows them; a snapshot that another one replaces.
final class Warehouses {
    private(set) var set = WarehouseSet()
    /// Reads them anew, once, for a name that is not in the snapshot.
    var reread: (() async throws -> WarehouseSet)?

    func replace(_ set: WarehouseSet) {
        // An older one may come late; one that was read afterwards is what there is, also after Redis was set back.
        if set.revision >= self.set.revision || set.readUs.lowerBound > self.set.readUs.upperBound { self.set = set }
    }

    /// A warehouse that must be there: it may have been made a moment ago by another replica.
    func require(_ id: String) async throws -> Warehouse {
        if let warehouse = set.byID[id] { return warehouse }
        if Warehouse.isID(id), let reread { replace(try await reread()) }
        guard let warehouse = set.byID[id] else { throw Problem(.notFound, "there is no warehouse \(id.prefix(80))") }
        return warehouse
    }
}
