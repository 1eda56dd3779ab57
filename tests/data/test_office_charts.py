"""Charts and diagrams of Office files, read from their own parts."""

from __future__ import annotations

from lxml import etree

from data.readers.office_charts import Chart, read_chart
from data.readers.office_diagrams import read_diagram
from data.readers.office_markup import simplify

C = "http://schemas.openxmlformats.org/drawingml/2006/chart"
CX = "http://schemas.microsoft.com/office/drawing/2014/chartex"
DGM = "http://schemas.openxmlformats.org/drawingml/2006/diagram"
A = "http://schemas.openxmlformats.org/drawingml/2006/main"


def cache(kind: str, *values: str, code: str = "General") -> str:
    points = "".join(
        f'<c:pt idx="{n}"><c:v>{value}</c:v></c:pt>' for n, value in enumerate(values) if value
    )
    return f"<c:{kind}><c:formatCode>{code}</c:formatCode>{points}</c:{kind}>"


def chart(plot: str, head: str = "") -> Chart | None:
    space = f'<c:chartSpace xmlns:c="{C}" xmlns:a="{A}"><c:chart>{head}'
    return read_chart(
        etree.fromstring(f"{space}<c:plotArea>{plot}</c:plotArea></c:chart></c:chartSpace>")
    )


def title(text: str) -> str:
    return (
        f"<c:title><c:tx><c:rich><a:p><a:r><a:t>{text}</a:t></a:r></a:p></c:rich></c:tx></c:title>"
    )


def test_each_series_is_a_column_with_the_unit_of_its_axis() -> None:
    series = "".join(
        f"<c:ser><c:tx><c:strRef>{cache('strCache', name)}</c:strRef></c:tx>"
        f"<c:cat><c:strRef>{cache('strCache', 'Mon', 'Tue', 'Wed')}</c:strRef></c:cat>"
        f"<c:val><c:numRef>{cache('numCache', *values)}</c:numRef></c:val></c:ser>"
        for name, values in (
            ("Bergen", ("4.2999999999999998", "", "7")),
            ("Cairo", ("0", "1", "0")),
        )
    )
    axes = f"<c:catAx>{title('day')}</c:catAx><c:valAx>{title('mm')}</c:valAx>"
    rain = chart(f"<c:bar3DChart>{series}</c:bar3DChart>{axes}", title("Rain"))
    assert rain is not None
    assert rain.label == "Rain (bar chart)"
    assert rain.table.rows == (
        ("day", "Bergen (mm)", "Cairo (mm)"),
        ("Mon", "4.3", "0"),
        ("Tue", "", "1"),
        ("Wed", "7", "0"),
    )


def test_points_of_a_scatter_chart_pair_x_and_y() -> None:
    series = (
        f"<c:ser><c:tx><c:v>fall</c:v></c:tx><c:xVal>{cache('numCache', '0', '0.5')}</c:xVal>"
        f"<c:yVal>{cache('numCache', '0', '0.25', code='0%')}</c:yVal></c:ser>"
    )
    fall = chart(f"<c:scatterChart>{series}</c:scatterChart>")
    assert fall is not None
    assert (fall.kind, fall.title) == ("scatter", "fall")
    assert fall.table.rows == (("", "fall"), ("0", "0%"), ("0.5", "25%"))


def test_a_deleted_title_stays_away_and_a_chart_without_values_is_none() -> None:
    series = f"<c:ser><c:tx><c:v>n</c:v></c:tx><c:val>{cache('numCache', '1')}</c:val></c:ser>"
    untitled = chart(f"<c:pieChart>{series}</c:pieChart>", '<c:autoTitleDeleted val="1"/>')
    assert untitled is not None
    assert (untitled.title, untitled.label) == ("", "Pie chart")
    assert chart("<c:pieChart><c:ser/></c:pieChart>") is None


def test_the_levels_of_a_category_are_joined() -> None:
    inner = '<c:pt idx="0"><c:v>Jan</c:v></c:pt><c:pt idx="1"><c:v>Feb</c:v></c:pt>'
    levels = f'<c:lvl>{inner}</c:lvl><c:lvl><c:pt idx="0"><c:v>2024</c:v></c:pt></c:lvl>'
    series = (
        f"<c:ser><c:cat><c:multiLvlStrRef><c:multiLvlStrCache>{levels}</c:multiLvlStrCache>"
        f"</c:multiLvlStrRef></c:cat><c:val>{cache('numCache', '1', '2')}</c:val></c:ser>"
    )
    sales = chart(f"<c:lineChart>{series}</c:lineChart>")
    assert sales is not None
    assert [row[0] for row in sales.table.body] == ["2024, Jan", "2024, Feb"]


def test_a_box_plot_is_read() -> None:
    markup = (
        f'<cx:chartSpace xmlns:cx="{CX}" xmlns:a="{A}"><cx:chartData><cx:data id="0">'
        '<cx:strDim type="cat"><cx:lvl><cx:pt idx="0">9a</cx:pt><cx:pt idx="1">9b</cx:pt></cx:lvl>'
        '</cx:strDim><cx:numDim type="val"><cx:lvl><cx:pt idx="0">1.5</cx:pt>'
        '<cx:pt idx="1">2</cx:pt></cx:lvl></cx:numDim></cx:data></cx:chartData><cx:chart>'
        "<cx:title><cx:tx><cx:rich><a:p><a:r><a:t>Marks</a:t></a:r></a:p></cx:rich></cx:tx>"
        '</cx:title><cx:plotArea><cx:plotAreaRegion><cx:series layoutId="boxWhisker"><cx:tx>'
        '<cx:txData><cx:v>test</cx:v></cx:txData></cx:tx><cx:dataId val="0"/></cx:series>'
        "</cx:plotAreaRegion></cx:plotArea></cx:chart></cx:chartSpace>"
    )
    marks = read_chart(etree.fromstring(markup))
    assert marks is not None
    assert marks.label == "Marks (box chart)"
    assert marks.table.rows == (("", "test"), ("9a", "1.5"), ("9b", "2"))


def point(identifier: str, text: str, kind: str = "node") -> str:
    words = f"<dgm:t><a:p><a:r><a:t>{text}</a:t></a:r></a:p></dgm:t>" if text else ""
    return f'<dgm:pt modelId="{identifier}" type="{kind}">{words}</dgm:pt>'


def link(source: str, target: str, order: int, kind: str = "parOf") -> str:
    ends = f'srcId="{source}" destId="{target}" srcOrd="{order}"'
    return f'<dgm:cxn modelId="{source}{target}" type="{kind}" {ends}/>'


def test_the_points_of_smartart_are_a_nested_list_in_their_order() -> None:
    points = (
        point("d", "", "doc")
        + point("2", "Rain")
        + point("1", "Sea")
        + point("3", "warm")
        + point("p", "Sea", "pres")
        + point("4", "Alone")
    )
    links = (
        link("d", "1", 0)
        + link("d", "2", 1)
        + link("1", "3", 0)
        + link("1", "p", 0, "presOf")
        + link("3", "1", 0)
    )
    markup = f'<dgm:dataModel xmlns:dgm="{DGM}" xmlns:a="{A}"><dgm:ptLst>{points}</dgm:ptLst>'
    root = etree.fromstring(f"{markup}<dgm:cxnLst>{links}</dgm:cxnLst></dgm:dataModel>")
    assert read_diagram(root).splitlines() == ["- Sea", "  - warm", "- Rain", "- Alone"]


def test_an_alternative_is_the_version_that_the_readers_know() -> None:
    compatibility = "http://schemas.openxmlformats.org/markup-compatibility/2006"
    namespaces = {
        "a14": "http://schemas.microsoft.com/office/drawing/2010/main",
        "v": "urn:schemas-microsoft-com:vml",
        "cx1": f"{CX}".replace("2014", "2015/9/8"),
    }
    chosen = {"a14": "choice", "v": "fallback", "cx1": "choice"}
    for prefix, expected in chosen.items():
        root = etree.fromstring(
            f'<r xmlns:mc="{compatibility}" xmlns:{prefix}="{namespaces[prefix]}">'
            f'<mc:AlternateContent><mc:Choice Requires="{prefix}"><choice/></mc:Choice>'
            "<mc:Fallback><fallback/></mc:Fallback></mc:AlternateContent></r>"
        )
        simplify(root)
        assert [child.tag for child in root] == [expected]
    ink = etree.fromstring(
        f'<r xmlns:mc="{compatibility}" xmlns:a14="{namespaces["a14"]}"><mc:AlternateContent>'
        '<mc:Choice Requires="a14"><contentPart/></mc:Choice><mc:Fallback><pic/></mc:Fallback>'
        "</mc:AlternateContent></r>"
    )
    simplify(ink)
    assert [child.tag for child in ink] == ["pic"]
