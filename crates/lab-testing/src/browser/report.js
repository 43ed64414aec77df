// What is wrong with a report as it is shown now: a list of sentences.
(() => {
    // WCAG 2.2: text needs 4.5 to 1 (1.4.3), lines and other marks 3 to 1 (1.4.11).
    const TEXT = 4.5, MARK = 3;
    // As many pixels may be lost to rounding.
    const SLACK = 1.5;
    const wrong = [];
    const words = (element) => `<${element.tagName} class="${element.getAttribute('class') ?? ''}"> ${element.textContent.trim().slice(0, 60)}`;
    const width = document.documentElement.clientWidth;
    const visible = [...document.body.querySelectorAll('*')].filter((element) => element.checkVisibility());

    const channel = (value) => value <= 10.3 ? value / 3294.6 : ((value / 255 + 0.055) / 1.055) ** 2.4;
    const luminance = ([red, green, blue]) => 0.2126 * channel(red) + 0.7152 * channel(green) + 0.0722 * channel(blue);
    const contrast = (one, other) => {
        const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
        return (high + 0.05) / (low + 0.05);
    };
    const color = (text) => text.match(/[\d.]+/g).map(Number);
    const behind = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const found = color(getComputedStyle(at).backgroundColor);
            if (found.length < 4 || found[3] > 0) return found;
        }
        return [255, 255, 255];
    };

    // Nothing is cut off or wider than the page. On a screen, a wide table scrolls in a box of its own.
    if (document.documentElement.scrollWidth > width) wrong.push(`the page is ${document.documentElement.scrollWidth} px wide`);
    for (const element of visible) {
        const box = element.getBoundingClientRect();
        const scrolls = element.parentElement.closest('.wide');
        const inBox = scrolls && getComputedStyle(scrolls).overflowX === 'auto';
        if (box.width > 1 && !inBox && (box.right > width + SLACK || box.left < -SLACK)) wrong.push(`cut off at the edge: ${words(element)}`);
    }

    // Words stand out from their background.
    for (const element of visible) {
        const text = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim());
        if (!text || element.namespaceURI.endsWith('svg')) continue;
        const ratio = contrast(color(getComputedStyle(element).color), behind(element));
        if (ratio < TEXT) wrong.push(`contrast ${ratio.toFixed(2)}: ${words(element)}`);
    }

    const SHAPES = 'path[class^=f], rect[class^=f], polygon[class^=f]';
    for (const svg of document.querySelectorAll('svg')) {
        const title = svg.querySelector('title')?.textContent ?? '';
        if (!title || !svg.querySelector('desc')?.textContent) wrong.push('a chart says not what it shows');
        if (!svg.querySelector(`${SHAPES}, polyline, circle`)) wrong.push(`an empty chart: ${title}`);
        const page = behind(svg);
        const shapes = [...svg.querySelectorAll(SHAPES)];
        // The last shape that was painted there before.
        const under = (element, x, y) => {
            const point = new DOMPoint(x, y);
            const before = shapes.filter((shape) => shape.compareDocumentPosition(element) & Node.DOCUMENT_POSITION_FOLLOWING);
            const shape = before.findLast((shape) => shape.isPointInFill(point));
            return shape ? color(getComputedStyle(shape).fill) : page;
        };
        // Labels are in the chart, apart from each other, and stand out.
        const frame = svg.getBoundingClientRect();
        const labels = [...svg.querySelectorAll('text')];
        for (const label of labels) {
            const box = label.getBoundingClientRect();
            if (box.left < frame.left - SLACK || box.right > frame.right + SLACK || box.top < frame.top - SLACK || box.bottom > frame.bottom + SLACK) {
                wrong.push(`a label leaves its chart '${title}': ${words(label)}`);
            }
            const { x, y, width, height } = label.getBBox();
            const ratio = contrast(color(getComputedStyle(label).fill), under(label, x + width / 2, y + height / 2));
            if (ratio < TEXT) wrong.push(`contrast ${ratio.toFixed(2)} in '${title}': ${words(label)}`);
        }
        const boxes = labels.map((label) => label.getBBox());
        for (let one = 0; one < boxes.length; one++) {
            for (let other = one + 1; other < boxes.length; other++) {
                const [a, b] = [boxes[one], boxes[other]];
                const wide = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
                // A line of text has room above and below its letters.
                const high = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
                if (wide > SLACK && high > 4) wrong.push(`labels overlap in '${title}': ${words(labels[one])} and ${words(labels[other])}`);
            }
        }
        // Lines, bars, and dots stand out; the grid (f2, s2) and the cells of a heat map (f30 to f35) are background.
        for (const mark of svg.querySelectorAll('[class^=s], [class^=f]')) {
            const name = mark.classList[0], style = getComputedStyle(mark);
            if (mark.tagName === 'text' || ['f2', 's2'].includes(name) || /^f3\d$/.test(name)) continue;
            const own = color(name.startsWith('s') ? style.stroke : style.fill);
            const from = [page];
            if (mark.tagName === 'circle') from.push(under(mark, mark.cx.baseVal.value, mark.cy.baseVal.value));
            for (const other of from) {
                const ratio = contrast(own, other);
                if (ratio < MARK) wrong.push(`contrast ${ratio.toFixed(2)} of ${mark.tagName}.${name} in '${title}'`);
            }
        }
    }

    // A table of numbers has its chart.
    for (const article of document.querySelectorAll('article')) {
        if (article.querySelector('td.n') && !article.querySelector('svg')) wrong.push(`no chart: ${words(article)}`);
    }
    return [...new Set(wrong)];
})()
