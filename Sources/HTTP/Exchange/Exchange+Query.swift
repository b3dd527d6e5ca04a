import Bytes

extension Exchange {
    /// The decoded value of the first query item with this name: `%2F` becomes a slash and a plus a space. An item
    /// without `=` has the empty value.
    public func queryItem(_ name: StaticString) -> String? {
        var found: String?
        eachRawItem { itemName, value in
            guard PercentEncoding.equals(itemName, name) else { return true }
            found = PercentEncoding.decodeQuery(value)
            return false
        }
        return found
    }

    /// All query items, decoded, in order.
    public var queryItems: [(name: String, value: String)] {
        var items: [(name: String, value: String)] = []
        eachRawItem { name, value in
            items.append((PercentEncoding.decodeQuery(name), PercentEncoding.decodeQuery(value)))
            return true
        }
        return items
    }

    /// The decoded value of path parameter `index`, counted from 0 in the order of the pattern. Nothing but percent
    /// signs is decoded, and only once.
    public func parameter(_ index: Int) -> String { PercentEncoding.decodePath(rawParameter(index)) }

    /// Path parameter `index` as it was sent.
    public func rawParameter(_ index: Int) -> ByteView {
        let range = parameters[index]
        return path.slice(range.lowerBound, range.upperBound)
    }

    private func eachRawItem(_ body: (_ name: ByteView, _ value: ByteView) -> Bool) {
        var rest = query
        while !rest.isEmpty {
            let end = rest.firstIndex(of: 0x26) ?? rest.count
            let item = rest.slice(0, end)
            rest = rest.dropFirst(end + 1)
            if item.isEmpty { continue }
            let equals = item.firstIndex(of: 0x3D) ?? item.count
            if !body(item.slice(0, equals), item.dropFirst(equals + 1)) { return }
        }
    }
}
