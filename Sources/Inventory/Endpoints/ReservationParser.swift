import Bytes
import JSON
import Services

/// Reads the body of a reservation of one product: the hot path, so it is read straight from the bytes.
enum ReservationParser {
    /// What a body asks for.
    enum Request {
        case product(ReservationDraft)
        /// It has `lines`: a reservation over several products.
        case lines
    }

    static func parse(_ body: ByteView) throws -> Request {
        do { return try read(body) } catch {
            // Whatever stands before `lines` is read as that of a reservation over several products.
            if (try? hasLines(body)) == true { return .lines }
            throw error
        }
    }

    private static func hasLines(_ body: ByteView) throws -> Bool {
        var reader = JSONReader(body)
        try reader.beginObject()
        while let key = try reader.nextKeyUnchecked() {
            if key == "lines" { return true }
            try reader.skip()
        }
        return false
    }

    private static func read(_ body: ByteView) throws -> Request {
        var reader = JSONReader(body)
        var found = Found()
        var keys = try reader.beginObject()
        while let key = try reader.nextKey(&keys) {
            // Null stands for absent.
            if try reader.peekKind == .null {
                try reader.readNull()
                if key == "lines" { throw Problem.field("lines", "must be an array") }
                continue
            }
            if key == "lines" { return .lines }
            do { try found.read(key, &reader) } catch let error as JSONError {
                throw problem(error, key.string)
            }
        }
        try reader.end()
        return .product(try found.draft())
    }

    /// What has been read so far.
    private struct Found {
        var product: String?
        var warehouse: String?
        var quantity: Int?
        var order: String?
        var end: ReserveStep.End?
        var priority = 0
        var waits = false
        var waitMs: Int?
        var replaces: [StockID] = []
        /// Which members there were, a bit each.
        private var seen = 0
        var allocation: String?
        var byDistance = false
        var near: Warehouse.Coordinates?
        var durability = Durability.memory

        mutating func read(_ key: JSONText, _ reader: inout JSONReader) throws {
            if key == "productId" {
                try once(0, "productId")
                product = try text(&reader, "productId", longest: 64)
            } else if key == "warehouseId" {
                try once(1, "warehouseId")
                warehouse = try optionalText(&reader, "warehouseId", longest: 64)
            } else if key == "quantity" {
                try once(2, "quantity")
                quantity = try int(&reader, "quantity", 1...ReservationDraft.largestQuantity)
            } else if key == "orderId" {
                try once(3, "orderId")
                order = try optionalText(&reader, "orderId", longest: 128)
            } else if key == "expiresAt" {
                try once(4, "expiresAt")
                try end(ReservationDraft.end(text(&reader, "expiresAt", longest: 64)))
            } else if key == "expiresInMs" {
                try once(5, "expiresInMs")
                try end(.after(duration(&reader, "expiresInMs")))
            } else if key == "priority" {
                try once(6, "priority")
                priority = try int(&reader, "priority", 0...ReservationDraft.mostPriority)
            } else if key == "backorder" {
                try once(7, "backorder")
                waits = try reader.readBool()
            } else if key == "maxWaitMs" {
                try once(8, "maxWaitMs")
                waitMs = try duration(&reader, "maxWaitMs")
            } else if key == "replaces" {
                try once(9, "replaces")
                replaces = try ids(&reader)
            } else if key == "durability" {
                try once(10, "durability")
                let words = Durability.allCases.map(\.rawValue)
                durability = Durability(rawValue: try word(&reader, "durability", words)) ?? .memory
            } else if key == "allocation" {
                try once(11, "allocation")
                allocation = try word(&reader, "allocation", ["any", "split"])
            } else if key == "order" {
                try once(12, "order")
                byDistance = try word(&reader, "order", ["priority", "distance"]) == "distance"
            } else if key == "near" {
                try once(13, "near")
                near = try coordinates(&reader)
            } else {
                throw Problem.field(key.string, "is not a field that is known here")
            }
        }

        /// A member that stands there twice says two things.
        private mutating func once(_ place: Int, _ name: String) throws {
            guard seen & 1 << place == 0 else { throw Problem.field(name, "must not stand there twice") }
            seen |= 1 << place
        }

        private mutating func end(_ end: ReserveStep.End) throws {
            guard self.end == nil else { throw Problem.field("expiresInMs", "can't stand beside expiresAt") }
            self.end = end
        }

        func draft() throws -> ReservationDraft {
            guard let product else { throw Problem.field("productId", "is required") }
            guard let quantity else { throw Problem.field("quantity", "is required") }
            let source: ReservationDraft.Source
            switch (warehouse, allocation) {
            case (let warehouse?, nil): source = .warehouse(warehouse)
            case (nil, "any"): source = .any(try rank())
            case (nil, .some): source = .split(try rank())
            case (nil, nil): throw Problem.field("warehouseId", "is required (or allocation)")
            case (.some, .some): throw Problem.field("allocation", "can't stand beside warehouseId")
            }
            var draft = ReservationDraft(product: product, source: source, quantity: quantity)
            draft.orderID = order
            draft.priority = priority
            draft.waitsForStock = waits
            draft.waitMs = waitMs
            draft.replaces = replaces
            if waitMs != nil, !waits { throw Problem.field("maxWaitMs", "is for a backorder only") }
            if waits, !replaces.isEmpty { throw Problem.field("replaces", "can't stand beside backorder") }
            draft.durability = durability
            if let end { draft.end = end }
            return draft
        }

        private func rank() throws -> ReservationDraft.Order {
            guard byDistance else { return .priority }
            guard let near else { throw Problem.field("near", "is required for the order distance") }
            return .distance(near)
        }
    }

    private static func text(_ reader: inout JSONReader, _ name: String, longest: Int) throws -> String {
        let text = try reader.readString().string
        guard !text.isEmpty else { throw Problem.field(name, "must not be empty") }
        guard text.utf8.count <= longest else { throw Problem.field(name, "must be at most \(longest) bytes long") }
        guard text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
            throw Problem.field(name, "must not contain control characters")
        }
        return text
    }

    /// Empty text says that there is none.
    private static func optionalText(_ reader: inout JSONReader, _ name: String, longest: Int) throws -> String? {
        let start = reader
        if try reader.readString().string.isEmpty { return nil }
        reader = start
        return try text(&reader, name, longest: longest)
    }

    /// Milliseconds, or a length such as `15m`.
    private static func duration(_ reader: inout JSONReader, _ name: String) throws -> Int {
        let range = 1...ReservationDraft.longestHoldMs
        guard try reader.peekKind == .string else { return try int(&reader, name, range) }
        guard let ms = DurationText.parseMs(try reader.readString().string) else {
            throw Problem.field(
                name, "must be milliseconds or a length such as \"250ms\", \"30s\", \"5m\", \"1h\", \"7d\"")
        }
        guard range.contains(ms) else {
            throw Problem.field(name, "must be from \(range.lowerBound) to \(range.upperBound) ms, not \(ms)")
        }
        return ms
    }

    private static func ids(_ reader: inout JSONReader) throws -> [StockID] {
        var ids: [StockID] = []
        try reader.beginArray()
        while try reader.nextElement() {
            let name = "replaces[\(ids.count)]"
            guard let id = StockID(try text(&reader, name, longest: 512)), !ids.contains(id) else {
                throw Problem.field(name, "must be the id of another reservation")
            }
            guard ids.count < ReservationDraft.mostReplaced else {
                throw Problem.field("replaces", "must have at most \(ReservationDraft.mostReplaced) elements")
            }
            ids.append(id)
        }
        return ids
    }

    private static func int(_ reader: inout JSONReader, _ name: String, _ range: ClosedRange<Int>) throws -> Int {
        let value = try reader.readInt()
        guard range.contains(value) else {
            throw Problem.field(name, "must be from \(range.lowerBound) to \(range.upperBound), not \(value)")
        }
        return value
    }

    private static func word(_ reader: inout JSONReader, _ name: String, _ words: [String]) throws -> String {
        let text = try text(&reader, name, longest: 32)
        guard words.contains(text) else { throw Problem.field(name, "must be one of \(words.joined(separator: ", "))") }
        return text
    }

    private static func coordinates(_ reader: inout JSONReader) throws -> Warehouse.Coordinates {
        var latitude: Double?
        var longitude: Double?
        var keys = try reader.beginObject()
        while let key = try reader.nextKey(&keys) {
            if key == "latitude" {
                latitude = try reader.readDouble()
            } else if key == "longitude" {
                longitude = try reader.readDouble()
            } else {
                throw Problem.field("near." + key.string, "is not a field that is known here")
            }
        }
        guard let latitude, (-90...90).contains(latitude) else {
            throw Problem.field("near.latitude", "must be from -90 to 90")
        }
        guard let longitude, (-180...180).contains(longitude) else {
            throw Problem.field("near.longitude", "must be from -180 to 180")
        }
        return Warehouse.Coordinates(latitude: latitude, longitude: longitude)
    }

    private static func problem(_ error: JSONError, _ name: String) -> any Error {
        switch error.kind {
        case .wrongKind(let expected, _):
            return Problem.field(name, "must be \(expected == .number ? "an integer" : "another kind of value")")
        case .notInteger: return Problem.field(name, "must be an integer")
        case .outOfRange: return Problem.field(name, "must be an integer within ±(2^53−1)")
        default: return error
        }
    }
}
