// Many images in one picture, as the server sends them, cut up and drawn.

// What the server makes of one picture at most; ganport_serve.v1.pictures has the same number.
export const GRID_PIXELS = 2 ** 24;

const COMFORTABLE = 128; // CSS pixels of a tile

export class Sheet {
  constructor(bitmap, count) {
    this.bitmap = bitmap;
    this.count = count;
    this.columns = Math.ceil(Math.sqrt(count));
    this.width = bitmap.width / this.columns;
    this.height = bitmap.height / Math.ceil(count / this.columns);
  }

  static async load(connection, path, count, signal) {
    return new Sheet(await createImageBitmap(await connection.blob(path, { signal })), count);
  }

  // Draws image `index` into a canvas, which takes the image's own size.
  draw(index, canvas) {
    canvas.width = this.width;
    canvas.height = this.height;
    this.paint(index, canvas.getContext("2d"), 0, 0, this.width, this.height);
  }

  paint(index, context, x, y, width, height) {
    const left = (index % this.columns) * this.width;
    const top = Math.floor(index / this.columns) * this.height;
    context.imageSmoothingEnabled = false;
    context.drawImage(this.bitmap, left, top, this.width, this.height, x, y, width, height);
  }

  close() {
    this.bitmap.close();
  }
}

// How many of `wanted` images fit in one picture and in one request.
export function most(wanted, status) {
  const [height, width] = status.bundle.image_shape;
  for (let count = Math.min(wanted, status.limits.max_count); count > 1; count--) {
    const columns = Math.ceil(Math.sqrt(count));
    if (columns * Math.ceil(count / columns) * height * width <= GRID_PIXELS) return count;
  }
  return 1;
}

// The width at which images of `width` pixels are shown, a whole multiple where they are small: pixels stay square.
export function shownWidth(width, comfortable = COMFORTABLE) {
  return width < comfortable ? Math.floor(comfortable / width) * width : comfortable;
}
