import Bytes
import JSON
import Services

/// Warehouses as JSON, in Redis and in the API alike.
extension Warehouse {
    var json: JSONValue {
        var members: [JSONValue.Member] = [.init("id", .string(id)), .init("name", .string(name))]
        if let location { members.append(.init("location", .string(location))) }
        if let coordinates {
            members.append(
                .init(
                    "coordinates",
                    .object([
                        .init("latitude", .double(coordinates.latitude)),
                        .init("longitude", .double(coordinates.longitude)),
                    ])))
        }
        members += [
            .init("priority", .int(priority)), .init("keptPerMille", .int(keptPerMille)),
            .init("mayReserve", .bool(mayReserve)), .init("mayShip", .bool(mayShip)),
            .init("mayReceive", .bool(mayReceive)), .init("version", .int(version)),
        ]
        return .object(members)
    }

    /// Reads a warehouse as a client or Redis has it.
    /// - Parameter id: the one it has already; nil: the body names it.
    init(_ body: JSONValue, id known: String? = nil) throws {
        var fields = try Fields(body)
        let named = try fields.string("id", max: 64)
        id = try known ?? named.required("id")
        guard Warehouse.isID(id) else {
            throw Problem.field("id", "must be 1 to 64 of A-Z a-z 0-9 - _ .")
        }
        name = try fields.string("name").required("name")
        location = try fields.optionalString("location")
        if var point = try fields.object("coordinates") {
            coordinates = try Coordinates(&point, named: "coordinates")
            try point.finish()
        }
        priority = try fields.int("priority", in: 0...1_000_000) ?? 100
        keptPerMille = try fields.int("keptPerMille", in: 0...1000) ?? 0
        mayReserve = try fields.bool("mayReserve") ?? true
        mayShip = try fields.bool("mayShip") ?? true
        mayReceive = try fields.bool("mayReceive") ?? true
        version = try fields.int("version", in: 1...Int.max) ?? 1
        try fields.finish()
    }

    /// Those that are there when nobody has made any.
    static let standard: [Warehouse] = [
        ("warehouse-1", "Main Warehouse", "Mumbai", 19.076, 72.8777),
        ("warehouse-2", "Secondary Warehouse", "Delhi", 28.7041, 77.1025),
        ("warehouse-3", "Regional Warehouse", "Bangalore", 12.9716, 77.5946),
    ].map { id, name, location, latitude, longitude in
        var warehouse = Warehouse(id: id, name: name, location: location)
        warehouse.coordinates = Coordinates(latitude: latitude, longitude: longitude)
        return warehouse
    }
}

extension Warehouse.Coordinates {
    init(_ fields: inout Fields, named name: String) throws {
        func degrees(_ member: String, _ most: Double) throws -> Double {
            let value: Double
            switch fields.value(member) {
            case .int(let number)?: value = Double(number)
            case .double(let number)?: value = number
            default: throw Problem.field("\(name).\(member)", "must be a number of degrees")
            }
            guard abs(value) <= most else {
                throw Problem.field("\(name).\(member)", "must be from -\(most) to \(most)")
            }
            return value
        }
        latitude = try degrees("latitude", 90)
        longitude = try degrees("longitude", 180)
    }
}
