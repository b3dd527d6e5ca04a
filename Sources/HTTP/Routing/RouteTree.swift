import Bytes

/// Routes by the segments of their paths. At each level a literal segment goes before a parameter, and that before `*`.
final class RouteTree {
    private struct Child {
        let segment: [UInt8]
        let node: RouteTree
    }

    private var literals: [Child] = []
    private var parameter: RouteTree?
    private var rest: RouteTree?
    private var routes = [Route?](repeating: nil, count: HTTPMethod.allCases.count)
    private(set) var hasRoutes = false

    /// A pattern begins with a slash; its segments are literal, `{name}`, or, as the last, `*`.
    func insert(_ route: Route) {
        precondition(route.pattern.hasPrefix("/"), "a pattern begins with a slash: \(route.pattern)")
        var node = self
        let segments = route.pattern.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        for (i, segment) in segments.enumerated() {
            if segment == "*" {
                precondition(i == segments.count - 1, "* must be the last segment: \(route.pattern)")
                node = node.child(\.rest)
            } else if segment.hasPrefix("{"), segment.hasSuffix("}") {
                node = node.child(\.parameter)
            } else {
                node = node.literal(Array(segment.utf8))
            }
        }
        precondition(node[route.method] == nil, "\(route.method.name) \(route.pattern) is registered twice")
        node.routes[Int(route.method.rawValue)] = route
        node.hasRoutes = true
    }

    subscript(method: HTTPMethod) -> Route? { routes[Int(method.rawValue)] }

    /// The methods that the Allow field lists.
    var allowed: String {
        var names: [String] = []
        for method in HTTPMethod.allCases {
            let isServed =
                switch method {
                case .options: true
                case .head: self[.head] != nil || self[.get] != nil
                default: self[method] != nil
                }
            if isServed { names.append(method.name.description) }
        }
        return names.joined(separator: ", ")
    }

    /// The route for `path`, whose segments begin at `start`; the ranges of its parameters are left in `parameters`.
    ///
    /// `other` becomes a node that has the path but not the method.
    func find(
        _ method: HTTPMethod, _ path: ByteView, from start: Int, _ parameters: inout [Range<Int>],
        _ other: inout RouteTree?
    ) -> Route? {
        if start > path.count {
            if let route = self[method] ?? (method == .head ? self[.get] : nil) { return route }
            if hasRoutes, other == nil { other = self }
            return nil
        }
        let end = path.firstIndex(of: 0x2F, from: start) ?? path.count
        if !literals.isEmpty {
            let segment = path.slice(start, end)
            for child in literals where child.segment.count == segment.count {
                guard child.segment.withByteView({ $0 == segment }) else { continue }
                if let route = child.node.find(method, path, from: end + 1, &parameters, &other) { return route }
                break
            }
        }
        if let parameter, end > start {
            parameters.append(start..<end)
            if let route = parameter.find(method, path, from: end + 1, &parameters, &other) { return route }
            parameters.removeLast()
        }
        if let rest {
            parameters.append(start..<path.count)
            if let route = rest.find(method, path, from: path.count + 1, &parameters, &other) { return route }
            parameters.removeLast()
        }
        return nil
    }

    /// The node of a path that was inserted as it is.
    func literal(_ path: ByteView) -> RouteTree? {
        var node = self
        var start = 1
        while start <= path.count {
            let end = path.firstIndex(of: 0x2F, from: start) ?? path.count
            let segment = path.slice(start, end)
            guard let child = node.literals.first(where: { $0.segment.withByteView { $0 == segment } }) else {
                return nil
            }
            node = child.node
            start = end + 1
        }
        return node
    }

    private func child(_ place: ReferenceWritableKeyPath<RouteTree, RouteTree?>) -> RouteTree {
        if let child = self[keyPath: place] { return child }
        let fresh = RouteTree()
        self[keyPath: place] = fresh
        return fresh
    }

    private func literal(_ segment: [UInt8]) -> RouteTree {
        if let child = literals.first(where: { $0.segment == segment }) { return child.node }
        let fresh = RouteTree()
        literals.append(Child(segment: segment, node: fresh))
        return fresh
    }
}
